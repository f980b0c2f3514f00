"""GET /v2/orders and its filters."""

from datetime import timedelta

from alpaca.common.enums import Sort
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    TakeProfitRequest,
)
from desk import BUY, DAY, check, equal, in_session

before = in_session

KEPT = []


def orders(desk, **query):
    return desk.trading.get_orders(GetOrdersRequest(**query))


@check("2.5 without filters the open orders come, newest first")
def open_orders(desk):
    desk.trading.cancel_orders()
    for symbol in ("AAPL", "MSFT", "KO", "AAPL"):
        KEPT.append(desk.limit(BUY, symbol, 10))
        desk.market.advance(1)
    equal([it.id for it in orders(desk)], [it.id for it in reversed(KEPT)], "the list")


@check("2.5 direction asc turns the list round, limit cuts it")
def direction_and_limit(desk):
    equal(
        [it.id for it in orders(desk, direction=Sort.ASC, limit=2)],
        [it.id for it in KEPT[:2]],
        "the first two",
    )


@check("2.5 symbols and side filter the list; several symbols are joined with commas")
def symbols_and_side(desk):
    equal({it.symbol for it in orders(desk, symbols=["MSFT", "KO"])}, {"MSFT", "KO"}, "the symbols")
    equal(len(orders(desk, side=OrderSide.BUY)), 4, "buys")
    equal(orders(desk, side=OrderSide.SELL), [], "sells")


@check("2.5 after and until go by submission and are both exclusive")
def after_and_until(desk):
    found = orders(desk, after=KEPT[0].submitted_at, until=KEPT[3].submitted_at)
    # The SDK cuts to microseconds: a nanosecond beyond the cut is after it.
    equal([it.id for it in found if it.id != KEPT[0].id], [KEPT[2].id, KEPT[1].id], "between")
    late = KEPT[-1].submitted_at + timedelta(seconds=1)
    equal(orders(desk, after=late), [], "after all")


@check("2.5 closed holds what ended, all holds everything")
def closed_and_all(desk):
    desk.trading.cancel_order_by_id(KEPT[1].id)
    desk.reaches(KEPT[1].id, "canceled")
    closed = orders(desk, status=QueryOrderStatus.CLOSED, symbols=["MSFT"], limit=1)
    equal((closed[0].id, closed[0].status), (KEPT[1].id, OrderStatus.CANCELED), "the newest that ended")
    ids = {it.id for it in orders(desk, status=QueryOrderStatus.ALL, limit=500)}
    assert {it.id for it in KEPT} <= ids
    assert KEPT[1].id not in {it.id for it in orders(desk)}


@check("2.5 before_order_id and after_order_id page by order, exclusive")
def by_order_id(desk):
    found = desk.raw.get("/orders", {"before_order_id": str(KEPT[2].id)})
    equal([it["id"] for it in found], [str(KEPT[0].id)], "before the third")
    found = desk.raw.get("/orders", {"after_order_id": str(KEPT[2].id)})
    equal([it["id"] for it in found], [str(KEPT[3].id)], "after the third")


@check("2.5 the list pages by until with the last row's submitted_at")
def pages(desk):
    seen, until = [], None
    for _ in range(10):
        page = orders(desk, limit=1, until=until)
        if not page:
            break
        seen.append(page[0].id)
        until = page[0].submitted_at
    equal(seen, [KEPT[3].id, KEPT[2].id, KEPT[0].id], "the pages")


@check("2.1 a status, a direction or a limit that cannot be is a parameter error: 422")
def bad_filters(desk):
    for query in ({"status": "somehow"}, {"direction": "sideways"}, {"limit": "-1"}):
        equal(desk.http("GET", "/v2/orders", params=query).status_code, 422, f"status for {query}")


@check(
    "2.0 booleans in queries come as Python writes them; nested legs are rows of their own only without it"
)
def nested(desk):
    desk.trading.cancel_orders()
    request = LimitOrderRequest(
        symbol="KO",
        qty=1,
        side=BUY,
        time_in_force=DAY,
        limit_price=50,
        order_class=OrderClass.OTO,
        take_profit=TakeProfitRequest(limit_price=90),
    )
    order = desk.trading.submit_order(request)
    found = orders(desk, nested=True)
    equal([it.id for it in found], [order.id], "nested")
    equal([leg.id for leg in found[0].legs], [order.legs[0].id], "its legs")
    rows = orders(desk, nested=False, status=QueryOrderStatus.ALL, limit=2)
    equal({it.id for it in rows}, {order.id, order.legs[0].id}, "rows")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
