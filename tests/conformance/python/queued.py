"""Orders before the opening: what waits, what works in the early session, and the opening itself."""

from alpaca.trading.enums import OrderClass, OrderStatus, TimeInForce
from alpaca.trading.requests import (
    LimitOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)
from desk import BUY, DAY, GTC, check, equal, fresh, refused

OPENING_DAY = "2026-06-08"
KEPT = {}


@check("6.1 an order that may not trade early waits as accepted")
def accepted(desk):
    desk.market.advance_to(OPENING_DAY, "9:25:00")
    for symbol, price in (("AAPL", 200), ("MSFT", 400), ("SPY", 600), ("KO", 70)):
        desk.market.quote(symbol, price - 0.01, price + 0.01)
    KEPT["market"] = desk.buy("AAPL")
    equal(KEPT["market"].status, OrderStatus.ACCEPTED, "status")
    KEPT["limit"] = desk.limit(BUY, "AAPL", 150)
    equal(KEPT["limit"].status, OrderStatus.ACCEPTED, "status of the limit order")


@check("2.5 a waiting order cannot be replaced")
def no_replace(desk):
    change = ReplaceOrderRequest(limit_price=151)
    refused(lambda: desk.trading.replace_order_by_id(KEPT["limit"].id, change), 422, None, "replace order")


@check("2.5 a waiting order can be canceled")
def cancel(desk):
    desk.trading.cancel_order_by_id(KEPT["limit"].id)
    equal(desk.reaches(KEPT["limit"].id, "canceled").filled_qty, "0", "filled_qty")


@check("6.1 a limit order with extended_hours works before the opening, DAY or GTC")
def early_session(desk):
    for tif in (DAY, GTC):
        order = desk.limit(BUY, "AAPL", 150, extended_hours=True, time_in_force=tif)
        desk.reaches(order.id, "new")
        equal(order.extended_hours, True, "extended_hours")
        desk.trading.cancel_order_by_id(order.id)


@check("6.1 an early limit order that meets the offer fills before the opening")
def early_fill(desk):
    order = desk.limit(BUY, "AAPL", 200.01, extended_hours=True)
    equal(desk.fills(order).filled_avg_price, "200.01", "price")
    equal(desk.trading.get_clock().is_open, False, "is_open")


@check("2.1 extended_hours with a market order is 422 42210000")
def early_market(desk):
    refused(lambda: desk.buy("AAPL", extended_hours=True), 422, 42210000, "extended hours order must be DAY")


@check("2.1 extended_hours with IOC is 422 42210000")
def early_ioc(desk):
    ioc = TimeInForce.IOC
    order = lambda: desk.limit(BUY, "AAPL", 150, extended_hours=True, time_in_force=ioc)
    refused(order, 422, 42210000, "extended hours order must be DAY")


@check("2.5 OPG orders are taken before 9:28, market and limit")
def opg(desk):
    opg = TimeInForce.OPG
    KEPT["opg"] = desk.buy("MSFT", 2, time_in_force=opg)
    KEPT["opg limit"] = desk.limit(BUY, "MSFT", 300, time_in_force=opg)
    equal(KEPT["opg"].status, OrderStatus.ACCEPTED, "status")
    equal(KEPT["opg"].time_in_force, opg, "time_in_force")


@check("2.5 a bracket before the opening waits as accepted with held legs")
def bracket(desk):
    request = LimitOrderRequest(
        symbol="KO",
        qty=1,
        side=BUY,
        time_in_force=DAY,
        limit_price=60,
        order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=80),
        stop_loss=StopLossRequest(stop_price=50),
    )
    order = desk.trading.submit_order(request)
    equal(order.status, OrderStatus.ACCEPTED, "status")
    equal([leg.status for leg in order.legs], [OrderStatus.HELD] * 2, "the legs")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    equal(
        [leg.status for leg in desk.group(order.id).legs], [OrderStatus.CANCELED] * 2, "the legs afterwards"
    )


@check("2.1 after 9:28 OPG orders are refused: 403 40310000, with the hours")
def opg_too_late(desk):
    desk.market.advance_to(OPENING_DAY, "9:28:30")
    says = "opg orders must be submitted after 7:00pm and before 9:28am"
    refused(lambda: desk.buy("MSFT", time_in_force=TimeInForce.OPG), 403, 40310000, says)


@check("6.1 a waiting order emits nothing until the opening, then new and its fill")
def opening(desk):
    updates = desk.updates
    late = desk.buy("SPY", client_order_id=fresh())
    equal(late.status, OrderStatus.ACCEPTED, "status")
    equal(updates.names(late.id), [], "events before the opening")
    desk.market.advance_to(OPENING_DAY, "9:30:05")
    updates.event(late.id, "fill")
    equal(updates.names(late.id), ["new", "fill"], "events at the opening")
    equal(desk.fills(KEPT["market"]).filled_avg_price, "200.01", "price of the order that waited")


@check("2.5 the opening fills an OPG market order, and cancels an OPG limit order that it does not reach")
def opg_at_open(desk):
    equal(desk.fills(KEPT["opg"]).filled_avg_price, "400.01", "the opening price")
    left = desk.reaches(KEPT["opg limit"].id, "canceled")
    equal(left.filled_qty, "0", "filled_qty")


@check("2.7 while the market is open the close comes before the next opening")
def open_now(desk):
    clock = desk.trading.get_clock()
    equal(clock.is_open, True, "is_open")
    assert clock.timestamp < clock.next_close < clock.next_open
    desk.market.advance_to(OPENING_DAY, "10:00:00")
    for symbol in ("AAPL", "MSFT", "SPY"):
        desk.flat(symbol)
