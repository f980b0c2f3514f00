"""A broker as it is with real money: requests take their time, sizes count, sales cost fees. The clock stands,
so that every state on the way can be looked at."""

from alpaca.trading.enums import OrderClass, OrderStatus
from alpaca.trading.requests import (
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)
from desk import BUY, DAY, DECIMAL, SELL, check, equal, in_session, matches, refused

before = in_session
KEPT = {}


def arrive(desk):
    """What is under way arrives."""
    desk.market.advance(1)


def resting(desk, price=90):
    order = desk.limit(BUY, "WMT", price, 2)
    arrive(desk)
    return desk.reaches(order.id, "new")


@check("2.5 POST answers pending_new; the order becomes new when it has arrived")
def pending_new(desk):
    desk.market.quote("WMT", 99.99, 100.01, 300)
    desk.updates
    order = desk.limit(BUY, "WMT", 90, 2)
    equal(desk.see(order.id).status, OrderStatus.PENDING_NEW, "status on the way")
    arrive(desk)
    desk.reaches(order.id, "new")
    desk.updates.event(order.id, "new")
    equal(desk.updates.names(order.id), ["pending_new", "new"], "events")
    equal(desk.updates.of(order.id)[0].execution_id, None, "execution_id of pending_new")
    KEPT["order"] = order


@check("2.1 an order that has not arrived cannot be replaced: 422 order isn't sent to exchange yet")
def replace_too_soon(desk):
    order = desk.limit(BUY, "WMT", 90, 2)
    change = ReplaceOrderRequest(limit_price=91)
    refused(
        lambda: desk.trading.replace_order_by_id(order.id, change),
        422,
        40010001,
        "unable to replace order, order isn't sent to exchange yet",
    )
    arrive(desk)
    desk.trading.cancel_order_by_id(order.id)
    arrive(desk)


@check("2.5 a cancel is a request: pending_cancel until it has arrived")
def pending_cancel(desk):
    order = KEPT["order"]
    desk.trading.cancel_order_by_id(order.id)
    equal(desk.see(order.id).status, OrderStatus.PENDING_CANCEL, "status on the way")
    arrive(desk)
    desk.reaches(order.id, "canceled")
    desk.updates.event(order.id, "canceled")
    equal(desk.updates.names(order.id)[-2:], ["pending_cancel", "canceled"], "events")


@check("2.5 an order can fill while its cancel is on the way; the stream says order_cancel_rejected")
def fill_beats_cancel(desk):
    order = resting(desk)
    desk.trading.cancel_order_by_id(order.id)
    desk.market.quote("WMT", 89.90, 89.95, 300)
    arrive(desk)
    desk.reaches(order.id, "filled")
    desk.updates.event(order.id, "fill")
    desk.updates.event(order.id, "order_cancel_rejected")
    desk.market.quote("WMT", 99.99, 100.01, 300)


@check("2.5 a replaced order is pending_replace on the way, cannot be canceled then, and becomes replaced")
def pending_replace(desk):
    order = resting(desk)
    new = desk.trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=91))
    equal(desk.see(order.id).status, OrderStatus.PENDING_REPLACE, "status on the way")
    refused(lambda: desk.trading.cancel_order_by_id(order.id), 422)
    arrive(desk)
    equal(desk.reaches(order.id, "replaced").replaced_by, new.id, "replaced_by")
    desk.reaches(new.id, "new")
    desk.trading.cancel_order_by_id(new.id)
    arrive(desk)


@check("2.5 if the old order fills first the replacement is rejected: order_replace_rejected")
def fill_beats_replace(desk):
    order = resting(desk)
    new = desk.trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=85))
    desk.market.quote("WMT", 89.90, 89.95, 300)
    arrive(desk)
    desk.reaches(order.id, "filled")
    desk.updates.event(order.id, "order_replace_rejected")
    assert desk.see(new.id).status != OrderStatus.NEW
    desk.market.quote("WMT", 99.99, 100.01, 300)


@check("6.2 where paper does not look at the size, here a limit order takes what is shown and waits for more")
def size(desk):
    order = desk.limit(BUY, "WMT", 100.01, 500)
    arrive(desk)
    order = desk.reaches(order.id, "partially_filled")
    equal((order.filled_qty, order.filled_avg_price), ("300", "100.01"), "what was shown")
    desk.market.quote("WMT", 99.99, 100.01, 300)
    arrive(desk)
    equal(desk.reaches(order.id, "filled").filled_qty, "500", "filled_qty")


@check("2.5 a take-profit that fills in part leaves its stop-loss for the rest alone")
def shrinking_stop(desk):
    desk.market.quote("KO", 69.99, 70.01, 1_000)
    order = desk.trading.submit_order(
        MarketOrderRequest(
            symbol="KO",
            qty=40,
            side=BUY,
            time_in_force=DAY,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=75),
            stop_loss=StopLossRequest(stop_price=65),
        )
    )
    arrive(desk)
    desk.reaches(order.id, "filled")
    profit, stop = (
        next(leg for leg in order.legs if leg.order_type.value == kind) for kind in ("limit", "stop")
    )
    arrive(desk)
    desk.reaches(profit.id, "new")
    desk.market.quote("KO", 75.00, 75.02, 10)
    arrive(desk)
    equal(desk.reaches(profit.id, "partially_filled").filled_qty, "10", "filled_qty")
    equal(desk.see(stop.id).qty, "30", "qty of the stop-loss")
    desk.market.quote("KO", 75.00, 75.02, 1_000)
    arrive(desk)
    desk.reaches(profit.id, "filled")
    arrive(desk)
    desk.reaches(stop.id, "canceled")


@check("6.2 where paper has no slippage, here a market order pays a little more than the offer")
def slippage(desk):
    order = desk.buy("WMT", 10)
    arrive(desk)
    price = float(desk.reaches(order.id, "filled").filled_avg_price)
    assert 100.01 <= price <= 100.01 * 1.0004 + 0.01, price


@check("6.6 a sale accrues the SEC's and FINRA's fees at the rates of its date; a purchase neither")
def fees(desk):
    desk.market.quote("WMT", 100.00, 100.02, 1_000_000)
    accrued = lambda: float(desk.raw.get_account()["accrued_fees"])
    bought = desk.buy("WMT", 10_000)
    arrive(desk)
    desk.reaches(bought.id, "filled")
    before = accrued()
    assert before < 1, before
    sold = desk.limit(SELL, "WMT", 100.00, 10_000)
    arrive(desk)
    desk.reaches(sold.id, "filled")
    # 20.60 USD a million and 0.000195 USD a share; CAT a trifle.
    assert 20.60 + 1.95 <= accrued() - before <= 20.60 + 1.95 + 1, accrued() - before
    KEPT["fees"] = accrued()
    KEPT["cash"] = float(desk.raw.get_account()["cash"])


@check("2.3 fees are booked the next day: FEE rows with a subtype, a negative amount and what they are for")
def booked(desk):
    desk.market.advance_to("2026-06-09", "9:40:00")
    rows = desk.trading.get("/account/activities", {"activity_types": "FEE"})
    assert {"REG", "TAF"} <= {row["activity_sub_type"] for row in rows}, rows
    for row in rows:
        equal((row["activity_type"], row["status"], row["currency"]), ("FEE", "executed", "USD"), "the row")
        matches(DECIMAL, row["net_amount"])
        assert float(row["net_amount"]) < 0, row
        matches(r"\d{4}-\d\d-\d\d", row["date"])
    equal(round(-sum(float(row["net_amount"]) for row in rows), 2), round(KEPT["fees"], 2), "the sum")


@check("6.6 when fees are booked they leave the cash, and nothing is accrued any more")
def paid(desk):
    account = desk.raw.get_account()
    equal(float(account["accrued_fees"]), 0.0, "accrued_fees")
    assert abs(KEPT["cash"] - KEPT["fees"] - float(account["cash"])) < 0.005, (KEPT, account["cash"])


@check("2.3 category non_trade_activity holds the fees and no fills")
def category(desk):
    rows = desk.trading.get("/account/activities", {"category": "non_trade_activity"})
    equal({row["activity_type"] for row in rows}, {"FEE"}, "types")
