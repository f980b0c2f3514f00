"""PATCH of an order."""

from alpaca.trading.enums import OrderStatus
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from desk import BUY, DAY, GTC, SELL, check, equal, fresh, in_session, refused

before = in_session


def change(desk, order, **fields):
    return desk.trading.replace_order_by_id(order.id, ReplaceOrderRequest(**fields))


def resting(desk, price=100.0, qty=2, **more):
    order = desk.limit(BUY, "WMT", price, qty, **more)
    return desk.reaches(order.id, "new")


@check("2.5 PATCH answers a new order that replaces the old one")
def price(desk):
    desk.market.quote("WMT", 119.99, 120.01, 10_000)
    old = resting(desk)
    new = change(desk, old, limit_price=101)
    assert new.id != old.id
    equal((new.replaces, new.limit_price, new.qty), (old.id, "101", "2"), "the new order")
    old = desk.reaches(old.id, "replaced")
    equal(old.replaced_by, new.id, "replaced_by")
    assert old.replaced_at
    desk.reaches(new.id, "new")
    desk.trading.cancel_order_by_id(new.id)


@check("2.5 qty, time in force and client order id can be changed together")
def several(desk):
    name = fresh()
    new = change(desk, resting(desk), qty=5, time_in_force=GTC, client_order_id=name)
    equal((new.qty, new.time_in_force, new.client_order_id), ("5", GTC, name), "the new order")
    desk.trading.cancel_order_by_id(desk.reaches(new.id, "new").id)


@check("2.5 without a client order id the replacement gets one of its own")
def client_id(desk):
    old = resting(desk)
    new = change(desk, old, limit_price=99)
    assert new.client_order_id != old.client_order_id
    desk.trading.cancel_order_by_id(desk.reaches(new.id, "new").id)


@check("2.5 the stop price of a stop and the trail of a trailing stop can be changed")
def stop_and_trail(desk):
    stop = desk.order(StopOrderRequest, BUY, "WMT", 1, stop_price=150)
    equal(change(desk, desk.reaches(stop.id, "new"), stop_price=151).stop_price, "151", "stop_price")
    desk.flat("WMT")
    desk.hold("WMT", 1)
    desk.market.trade("WMT", 120)
    trail = desk.order(TrailingStopOrderRequest, SELL, "WMT", 1, trail_price=10, time_in_force=GTC)
    equal(change(desk, desk.reaches(trail.id, "new"), trail=12).trail_price, "12", "trail_price")
    desk.flat("WMT")


@check("2.1 a replacement that changes nothing: 422 42210000 order parameters are not changed")
def unchanged(desk):
    order = resting(desk)
    refused(lambda: change(desk, order, limit_price=100), 422, 42210000, "order parameters are not changed")
    refused(lambda: desk.raw.patch(f"/orders/{order.id}", {}), 422)
    desk.trading.cancel_order_by_id(order.id)


@check("2.1 an order that ended cannot be replaced: 422")
def ended(desk):
    order = resting(desk)
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    says = "cannot replace order|unable to replace order, order is not open"
    refused(lambda: change(desk, order, limit_price=101), 422, (40010001, 42210000), says)


@check("2.1 an order that was replaced cannot be replaced again: 422")
def twice(desk):
    order = resting(desk)
    new = change(desk, order, limit_price=101)
    desk.reaches(order.id, "replaced")
    refused(lambda: change(desk, order, limit_price=102), 422, None, "replace")
    desk.trading.cancel_order_by_id(desk.reaches(new.id, "new").id)


@check("2.5 qty is the total with what is filled, and must be more than that")
def total_qty(desk):
    desk.flat("WMT")
    desk.market.quote("WMT", 119.99, 120.01, 1)
    order = desk.limit(BUY, "WMT", 120.01, 4)
    filled = desk.see(order.id)
    if filled.status == OrderStatus.PARTIALLY_FILLED:
        refused(
            lambda: change(desk, order, qty=int(filled.filled_qty)), 422, 42210000, "qty must be > filled_qty"
        )
        new = change(desk, order, qty=3)
        desk.reaches(order.id, "replaced")
        equal((new.qty, new.filled_qty), ("3", filled.filled_qty), "qty and filled_qty")
        equal(desk.fills(new).filled_qty, "3", "filled_qty at last")
        equal(desk.position("WMT")["qty"], "3", "held")
    desk.market.quote("WMT", 119.99, 120.01, 10_000)
    desk.flat("WMT")


@check("2.5 orders by notional cannot be replaced, nor a fraction's qty")
def notional(desk):
    by_value = desk.trading.submit_order(
        LimitOrderRequest(symbol="WMT", notional=100, side=BUY, time_in_force=DAY, limit_price=50)
    )
    refused(lambda: change(desk, by_value, limit_price=51), 422)
    fraction = resting(desk, 50, 1.5)
    refused(lambda: change(desk, fraction, qty=2), 422)
    desk.flat("WMT")


@check("2.1 legs: prices can be changed, qty cannot: 422 42210000 qty cannot be changed for advanced orders")
def legs(desk):
    order = desk.trading.submit_order(
        MarketOrderRequest(
            symbol="WMT",
            qty=2,
            side=BUY,
            time_in_force=DAY,
            order_class="bracket",
            take_profit=TakeProfitRequest(limit_price=140),
            stop_loss=StopLossRequest(stop_price=100),
        )
    )
    desk.fills(order)
    profit = next(leg for leg in order.legs if leg.order_type.value == "limit")
    profit = desk.reaches(profit.id, "new")
    refused(lambda: change(desk, profit, qty=1), 422, 42210000, "qty cannot be changed for advanced orders")
    new = change(desk, profit, limit_price=150)
    equal(new.limit_price, "150", "limit_price")
    desk.reaches(new.id, "new")
    desk.market.quote("WMT", 150.00, 150.02, 10_000)
    desk.fills(new)
    stop = next(leg for leg in order.legs if leg.order_type.value == "stop")
    desk.reaches(stop.id, "canceled")
    desk.market.quote("WMT", 119.99, 120.01, 10_000)


@check("2.1 replacing an order that does not exist is 404, with a path that is no UUID 422")
def unknown(desk):
    nobody = "904837e3-3b76-47ec-b432-046db621571b"
    refused(lambda: desk.raw.patch(f"/orders/{nobody}", {"qty": 2}), 404, 40410000, "order not found")
    refused(lambda: desk.raw.patch("/orders/nonsense", {"qty": 2}), 422, 40010001, "order_id is missing")


@check("2.1 a replacement's prices obey the same rules")
def bad_price(desk):
    order = resting(desk)
    refused(lambda: change(desk, order, limit_price=100.123), 422, 42210000, "sub-penny")
    desk.trading.cancel_order_by_id(order.id)


@check("2.1 a replacement beyond buying power is refused and the order goes on working")
def too_dear(desk):
    order = resting(desk)
    refused(lambda: change(desk, order, qty=100_000_000), 403, 40310000, "insufficient buying power")
    equal(desk.see(order.id).status, OrderStatus.NEW, "status")
    desk.trading.cancel_order_by_id(order.id)
