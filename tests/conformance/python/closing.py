"""The close: orders at the close, the end of day orders, and what is queued after it."""

from alpaca.trading.enums import OrderStatus, TimeInForce
from alpaca.trading.requests import ReplaceOrderRequest
from desk import BUY, GTC, check, equal, refused

TODAY, TOMORROW = "2026-06-08", "2026-06-09"
CLS = TimeInForce.CLS
KEPT = {}


@check("2.5 CLS orders are taken until 3:50pm and wait")
def cls(desk):
    desk.market.advance_to(TODAY, "15:45:00")
    desk.updates
    desk.market.quote("HD", 349.99, 350.01, 10_000)
    desk.flat("HD")
    KEPT["cls"] = desk.buy("HD", time_in_force=CLS)
    KEPT["cls limit"] = desk.limit(BUY, "HD", 300, time_in_force=CLS)
    equal(desk.see(KEPT["cls"].id).filled_qty, "0", "filled before the close")


@check("2.1 after 3:50pm CLS orders are refused: 403 40310000, with the hours")
def cls_too_late(desk):
    desk.market.advance_to(TODAY, "15:56:00")
    refused(lambda: desk.buy("HD", time_in_force=CLS), 403, 40310000, "cls orders must be submitted")


@check("2.5 the close fills a CLS market order, and cancels a CLS limit order that it does not reach")
def close(desk):
    KEPT["day"] = desk.limit(BUY, "HD", 200)
    KEPT["gtc"] = desk.limit(BUY, "HD", 200, time_in_force=GTC)
    KEPT["late"] = desk.limit(BUY, "WMT", 50, extended_hours=True)
    desk.market.quote("HD", 351.99, 352.01, 10_000)
    desk.market.advance_to(TODAY, "16:00:10")
    equal(desk.fills(KEPT["cls"]).filled_avg_price, "352.01", "the closing price")
    desk.reaches(KEPT["cls limit"].id, "canceled")
    KEPT["equity"] = desk.raw.get_account()["equity"]


@check("6.1 DAY orders end at the close as expired; expired_at says when")
def day_ends(desk):
    order = desk.reaches(KEPT["day"].id, "expired")
    assert order.expired_at
    desk.updates.event(order.id, "expired")


@check("6.1 GTC orders and DAY orders of the long day live on after the close")
def others_live(desk):
    for name in ("gtc", "late"):
        equal(desk.see(KEPT[name].id).status, OrderStatus.NEW, name)


@check("6.1 the late session fills an order with extended_hours")
def late_fill(desk):
    desk.market.quote("WMT", 49.98, 50.00, 10_000)
    equal(desk.fills(KEPT["late"]).filled_avg_price, "50", "price")


@check("6.1 the late session does not fill an order without extended_hours")
def no_late_fill(desk):
    desk.market.quote("HD", 199.98, 200.00, 10_000)
    equal(desk.see(KEPT["gtc"].id).status, OrderStatus.NEW, "status")
    desk.market.quote("HD", 351.99, 352.01, 10_000)


@check("2.7 after the close the market is not open, and the next opening is tomorrow's")
def closed(desk):
    clock = desk.trading.get_clock()
    equal(clock.is_open, False, "is_open")
    equal(clock.next_open.date().isoformat(), TOMORROW, "next_open")


@check("6.1 an order sent after the close waits as accepted and cannot be replaced")
def queued(desk):
    order = desk.limit(BUY, "HD", 200)
    equal(order.status, OrderStatus.ACCEPTED, "status")
    change = ReplaceOrderRequest(limit_price=201)
    refused(lambda: desk.trading.replace_order_by_id(order.id, change), 422, None, "replace order")
    KEPT["queued"] = order


@check("6.1 the next opening makes it new")
def next_open(desk):
    desk.market.advance_to(TOMORROW, "9:30:10")
    desk.reaches(KEPT["queued"].id, "new")
    desk.updates.event(KEPT["queued"].id, "new")
    desk.trading.cancel_orders()


@check("2.2 last_equity is the equity of the day before at four")
def last_equity(desk):
    equal(desk.raw.get_account()["last_equity"], KEPT["equity"], "last_equity")


@check("2.6 gains of the day count from the last day's price for what was held over night")
def intraday_gain(desk):
    desk.market.quote("HD", 359.99, 360.01, 10_000)
    desk.market.trade("HD", 360)
    names = ("qty", "lastday_price", "current_price", "unrealized_intraday_pl", "change_today")
    figures = {name: float(desk.position("HD")[name]) for name in names}
    gain = figures["qty"] * (360 - figures["lastday_price"])
    assert abs(figures["unrealized_intraday_pl"] - gain) < 0.01, figures
    assert abs(figures["change_today"] - (360 / figures["lastday_price"] - 1)) < 1e-6, figures
