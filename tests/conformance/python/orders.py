"""Orders by type, amount and time in force, while the market is open."""

from uuid import UUID

from alpaca.trading.enums import OrderStatus, OrderType, PositionIntent, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    MarketOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
)
from desk import (
    BUY,
    DAY,
    GTC,
    SELL,
    STAMP,
    check,
    equal,
    fresh,
    in_session,
    matches,
    refused,
)

before = in_session

KEYS = """id client_order_id created_at updated_at submitted_at filled_at expired_at expires_at canceled_at
    failed_at replaced_at replaced_by replaces asset_id symbol asset_class notional qty filled_qty
    filled_avg_price order_class order_type type side position_intent time_in_force limit_price stop_price
    status extended_hours legs trail_percent trail_price hwm subtag source""".split()


@check("2.5 POST answers 200 with the order: every key is there, null when empty")
def answer(desk):
    found = desk.http(
        "POST",
        "/v2/orders",
        json={
            "symbol": "AAPL",
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "limit_price": "150",
            "time_in_force": "day",
        },
    )
    equal(found.status_code, 200, "status")
    order = found.json()
    equal([key for key in KEYS if key not in order], [], "missing keys")
    for name in ("id", "client_order_id", "asset_id"):
        UUID(order[name])
    for name in ("created_at", "updated_at", "submitted_at"):
        matches(STAMP, order[name])
    equal((order["filled_qty"], order["filled_avg_price"], order["legs"]), ("0", None, None), "what is empty")
    equal((order["order_class"], order["asset_class"]), ("", "us_equity"), "the classes")
    equal(order["order_type"], order["type"], "order_type")
    desk.trading.cancel_order_by_id(order["id"])


@check("2.0 numbers and strings are both taken and echoed as normalised strings")
def numbers(desk):
    for qty, price in ((1.0, 150.10), ("1", "150.10"), (1, "150.1"), ("1.000", 150.1)):
        order = desk.post(
            symbol="AAPL", qty=qty, side="buy", type="limit", limit_price=price, time_in_force="day"
        )
        equal((order["qty"], order["limit_price"]), ("1", "150.1"), "qty and limit_price")
        desk.trading.cancel_order_by_id(order["id"])


@check("2.5 a market order fills at the offer")
def market_buy(desk):
    desk.market.quote("AAPL", 199.99, 200.01)
    order = desk.fills(desk.buy("AAPL"))
    equal(
        (order.type, order.filled_qty, order.filled_avg_price), (OrderType.MARKET, "1", "200.01"), "the fill"
    )
    assert order.filled_at and order.filled_at >= order.submitted_at


@check("2.5 a market sell fills at the bid")
def market_sell(desk):
    order = desk.fills(desk.sell("AAPL"))
    equal(order.filled_avg_price, "199.99", "price")


@check("2.5 a limit order rests as new and fills when the offer comes down to it")
def limit_rests(desk):
    order = desk.limit(BUY, "AAPL", 199.50, 3)
    desk.reaches(order.id, "new")
    desk.market.quote("AAPL", 199.48, 199.50)
    equal(desk.fills(order).filled_avg_price, "199.5", "price")
    desk.market.quote("AAPL", 199.99, 200.01)
    desk.flat("AAPL")


@check("6.2 a limit order that meets the other side fills at the standing price")
def limit_marketable(desk):
    order = desk.fills(desk.limit(BUY, "AAPL", 201))
    equal(order.filled_avg_price, "200.01", "price")
    desk.flat("AAPL")


@check("6.2 a stop is elected by a trade at it, and a buy stop then buys")
def stop_buy(desk):
    order = desk.order(StopOrderRequest, BUY, "AAPL", 1, stop_price=201)
    desk.reaches(order.id, "new")
    equal(order.stop_price, "201", "stop_price")
    desk.market.trade("AAPL", 200.00)
    equal(desk.see(order.id).status, OrderStatus.NEW, "status after a trade below the stop")
    desk.market.quote("AAPL", 200.99, 201.01)
    desk.market.trade("AAPL", 201)
    equal(desk.fills(order).filled_avg_price, "201.01", "price")


@check("6.2 a sell stop is elected by a trade at or below it")
def stop_sell(desk):
    order = desk.order(StopOrderRequest, SELL, "AAPL", 1, stop_price=200, time_in_force=GTC)
    desk.market.quote("AAPL", 199.89, 199.91)
    desk.market.trade("AAPL", 199.90)
    equal(desk.fills(order).filled_avg_price, "199.89", "price")


@check("2.5 an elected stop limit order rests at its limit")
def stop_limit(desk):
    desk.market.quote("AAPL", 199.99, 200.01)
    order = desk.order(StopLimitOrderRequest, BUY, "AAPL", 1, stop_price=201, limit_price=201)
    desk.reaches(order.id, "new")
    desk.market.quote("AAPL", 201.49, 201.51)
    desk.market.trade("AAPL", 201.50)
    equal(desk.see(order.id).status, OrderStatus.NEW, "status above the limit")
    desk.market.quote("AAPL", 200.98, 201.00)
    equal(desk.fills(order).filled_avg_price, "201", "price")
    desk.flat("AAPL")


@check("2.5 a trailing stop shows trail_percent and the high-water mark, and follows the trades up")
def trailing_percent(desk):
    desk.market.quote("NVDA", 149.99, 150.01)
    desk.market.trade("NVDA", 150)
    desk.hold("NVDA", 1)
    order = desk.order(TrailingStopOrderRequest, SELL, "NVDA", 1, trail_percent=2, time_in_force=GTC)
    desk.reaches(order.id, "new")
    equal((order.trail_percent, order.trail_price), ("2", None), "the trail")
    equal((desk.see(order.id).hwm, desk.see(order.id).stop_price), ("150", "147"), "mark and stop")
    desk.market.quote("NVDA", 159.99, 160.01)
    desk.market.trade("NVDA", 160)
    equal((desk.see(order.id).hwm, desk.see(order.id).stop_price), ("160", "156.8"), "mark and stop, moved")
    desk.market.quote("NVDA", 156.78, 156.80)
    desk.market.trade("NVDA", 156.79)
    equal(desk.fills(order).filled_avg_price, "156.78", "price")


@check("2.5 a trailing stop by price keeps its distance and never moves back")
def trailing_price(desk):
    desk.market.quote("NVDA", 149.99, 150.01)
    desk.market.trade("NVDA", 150)
    desk.hold("NVDA", 1)
    order = desk.order(TrailingStopOrderRequest, SELL, "NVDA", 1, trail_price=5, time_in_force=DAY)
    equal((order.trail_price, order.trail_percent), ("5", None), "the trail")
    desk.market.trade("NVDA", 150)
    desk.market.quote("NVDA", 147.99, 148.01)
    desk.market.trade("NVDA", 148)
    equal((desk.see(order.id).hwm, desk.see(order.id).stop_price), ("150", "145"), "mark and stop")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    desk.market.quote("NVDA", 149.99, 150.01)
    desk.flat("NVDA")


@check("2.5 a notional order has no qty for life; what it bought stands in filled_qty")
def notional(desk):
    desk.market.quote("MSFT", 399.99, 400.00)
    order = desk.trading.submit_order(
        MarketOrderRequest(symbol="MSFT", notional=100.5, side=BUY, time_in_force=DAY)
    )
    equal((order.notional, order.qty), ("100.5", None), "notional and qty")
    order = desk.fills(order)
    equal((order.notional, order.qty, order.filled_qty), ("100.5", None, "0.25125"), "after the fill")


@check("2.5 fractions of up to nine decimals are traded and held exactly")
def fractional(desk):
    desk.flat("MSFT")
    order = desk.fills(desk.buy("MSFT", 0.123456789))
    equal(order.filled_qty, "0.123456789", "filled_qty")
    equal(desk.position("MSFT")["qty"], "0.123456789", "held")
    desk.flat("MSFT")


@check("2.5 a fractional limit order is taken")
def fractional_limit(desk):
    order = desk.fills(desk.limit(BUY, "MSFT", 400, 0.5))
    equal(order.filled_qty, "0.5", "filled_qty")
    desk.flat("MSFT")


@check("2.5 IOC fills what it can at once and cancels the rest")
def ioc(desk):
    order = desk.limit(BUY, "AAPL", 150, time_in_force=TimeInForce.IOC)
    order = desk.reaches(order.id, "canceled")
    equal(order.filled_qty, "0", "filled_qty")
    assert order.canceled_at
    desk.market.quote("AAPL", 199.99, 200.01)
    done = desk.reaches(desk.limit(BUY, "AAPL", 201, time_in_force=TimeInForce.IOC).id, "filled")
    equal(done.filled_qty, "1", "filled_qty")
    desk.flat("AAPL")


@check("2.5 FOK that cannot be filled whole is canceled untouched")
def fok(desk):
    order = desk.limit(BUY, "AAPL", 150, 5, time_in_force=TimeInForce.FOK)
    equal(desk.reaches(order.id, "canceled").filled_qty, "0", "filled_qty")


@check("6.1 a GTC order says in expires_at when it ends: ninety days on")
def gtc(desk):
    order = desk.limit(BUY, "AAPL", 150, time_in_force=GTC)
    assert order.expires_at, "expires_at is null"
    days = (order.expires_at.date() - order.created_at.date()).days
    assert 89 <= days <= 91, days
    desk.trading.cancel_order_by_id(order.id)


@check("2.5 a client order id is kept and found; without one the broker makes a UUID")
def client_order_id(desk):
    name = fresh()
    order = desk.limit(BUY, "AAPL", 150, client_order_id=name)
    equal(order.client_order_id, name, "client_order_id")
    equal(desk.trading.get_order_by_client_id(name).id, order.id, "found by client id")
    other = desk.limit(BUY, "AAPL", 150)
    UUID(other.client_order_id)
    desk.trading.cancel_orders()


@check("2.5 GET of an order by id, with and without nested, with and without dashes")
def by_id(desk):
    order = desk.limit(BUY, "AAPL", 150)
    equal(desk.trading.get_order_by_id(order.id).id, order.id, "by id")
    equal(desk.trading.get_order_by_id(order.id, GetOrderByIdRequest(nested=True)).id, order.id, "nested")
    equal(desk.trading.get_order_by_id(order.id.hex).id, order.id, "without dashes")
    desk.trading.cancel_order_by_id(order.id)


@check("1 an order may name its asset by id")
def by_asset_id(desk):
    asset = desk.trading.get_asset("KO")
    order = desk.limit(BUY, str(asset.id), 50)
    equal((order.symbol, order.asset_id), ("KO", asset.id), "the asset")
    desk.trading.cancel_order_by_id(order.id)


@check("2.5 position_intent is echoed")
def intent(desk):
    order = desk.limit(BUY, "KO", 50, position_intent=PositionIntent.BUY_TO_OPEN)
    equal(order.position_intent, PositionIntent.BUY_TO_OPEN, "position_intent")
    desk.trading.cancel_order_by_id(order.id)


@check("2.5 DELETE of an order answers 204 without a body; the order ends as canceled")
def cancel(desk):
    order = desk.limit(BUY, "AAPL", 150)
    answer = desk.http("DELETE", f"/v2/orders/{order.id}")
    equal((answer.status_code, answer.text), (204, ""), "the answer")
    order = desk.reaches(order.id, "canceled")
    assert order.canceled_at


@check('2.1 a filled order cannot be canceled: 422 42210000 order is already in "filled" state')
def cancel_filled(desk):
    order = desk.fills(desk.buy("AAPL"))
    refused(
        lambda: desk.trading.cancel_order_by_id(order.id), 422, 42210000, 'order is already in "filled" state'
    )
    desk.flat("AAPL")


@check("2.5 DELETE of all orders answers 207 with id and status of each")
def cancel_all(desk):
    made = {desk.limit(BUY, symbol, 10).id for symbol in ("AAPL", "MSFT", "KO")}
    answers = desk.trading.cancel_orders()
    equal({it.id for it in answers}, made, "the ids")
    equal({it.status for it in answers}, {200}, "the statuses")
    for order_id in made:
        desk.reaches(order_id, "canceled")
    answer = desk.http("DELETE", "/v2/orders")
    equal((answer.status_code, answer.json()), (207, []), "when nothing works")


@check("2.1 an order that does not exist is 404 40410000 order not found for ID")
def unknown(desk):
    nobody = "904837e3-3b76-47ec-b432-046db621571b"
    refused(lambda: desk.trading.get_order_by_id(nobody), 404, 40410000, f"order not found for {nobody}")
    refused(lambda: desk.trading.cancel_order_by_id(nobody), 404, 40410000, f"order not found for {nobody}")
    refused(lambda: desk.trading.get_order_by_client_id("nobody's"), 404, 40410000)


@check("2.1 a path id that is no UUID is 422 40010001 order_id is missing")
def no_uuid(desk):
    refused(lambda: desk.raw.get("/orders/nonsense"), 422, 40010001, "order_id is missing")
    answer = desk.http("DELETE", "/v2/orders/nonsense")
    equal((answer.status_code, answer.json()["code"]), (422, 40010001), "on DELETE")
