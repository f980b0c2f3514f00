"""The table of refusals: status, code and words. What the SDK refuses itself is sent as plain JSON."""

from alpaca.common.exceptions import APIError
from alpaca.trading.enums import PositionIntent, TimeInForce
from alpaca.trading.requests import (
    MarketOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
)
from desk import BUY, DAY, GTC, SELL, check, equal, fresh, in_session, refused

before = in_session

PARAMETER, RULE, FORBIDDEN = 40010001, 42210000, 40310000


def bad(desk, says, code=PARAMETER, status=422, **changes):
    """A good market order with some fields changed (None: left out) is refused."""
    fields = {
        "symbol": "AAPL",
        "qty": "1",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        **changes,
    }
    fields = {key: value for key, value in fields.items() if value is not None}
    return refused(lambda: desk.post(**fields), status, code, says)


@check("2.1 without an amount: 422 40010001 qty or notional is required")
def no_amount(desk):
    bad(desk, "qty or notional is required", qty=None)


@check("2.1 with both amounts: only one of qty or notional is accepted")
def two_amounts(desk):
    bad(desk, "only one of qty or notional is accepted", notional="100")


@check("2.1 zero and negative amounts: qty must be > 0")
def no_qty(desk):
    bad(desk, "qty must be > 0", qty="0")
    bad(desk, "qty must be > 0", qty=-1)


@check("2.1 unknown words: invalid order type, invalid side, invalid time_in_force")
def unknown_words(desk):
    bad(desk, "invalid order type", type="best")
    bad(desk, "invalid side", side="hold")
    bad(desk, "invalid time_in_force", time_in_force="forever")


@check("2.1 limit orders require a limit price")
def no_limit_price(desk):
    bad(desk, "limit orders require a limit price", type="limit")


@check("2.1 stop orders require a stop price, stop limit orders both")
def no_stop_price(desk):
    bad(desk, "stop orders require a stop price", type="stop")
    bad(desk, "stop limit orders require both stop and limit price", type="stop_limit", stop_price="210")


@check("2.1 market orders require no stop or limit price")
def market_with_price(desk):
    bad(desk, "market orders require no stop or limit price", limit_price="200")


@check("2.1 trailing stops name exactly one of trail_price and trail_percent")
def no_trail(desk):
    says = "trailing stop orders must specify one of trail_price or trail_percent"
    bad(desk, says, type="trailing_stop", side="sell")
    bad(desk, says, type="trailing_stop", side="sell", trail_price="1", trail_percent="1")


@check("2.1 trail_percent is at least 0.1")
def small_trail(desk):
    order = lambda: desk.order(TrailingStopOrderRequest, SELL, "AAPL", 1, trail_percent=0.05)
    refused(order, 422, PARAMETER, "trail_percent must be greater than or equal to 0.1")


@check("2.1 a client order id has at most 128 characters")
def long_client_id(desk):
    refused(
        lambda: desk.limit(BUY, "AAPL", 150, client_order_id="x" * 129),
        422,
        PARAMETER,
        "client_order_id must be no more than 128 characters",
    )
    order = desk.limit(BUY, "AAPL", 150, client_order_id=fresh("x" * 91))
    desk.trading.cancel_order_by_id(order.id)


@check("2.1 a client order id is unique for ever, also after the order was canceled")
def used_client_id(desk):
    name = fresh()
    order = desk.limit(BUY, "AAPL", 150, client_order_id=name)
    again = lambda: desk.limit(BUY, "AAPL", 150, client_order_id=name)
    refused(again, 422, (PARAMETER, RULE), "client_order_id must be unique")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    refused(again, 422, (PARAMETER, RULE), "client_order_id must be unique")


@check('2.1 an unknown symbol in an order: 422 42210000 asset "ZZZZ" not found')
def unknown_symbol(desk):
    refused(lambda: desk.buy("ZZZZ"), 422, RULE, 'asset "ZZZZ" not found')


@check("2.1 above a dollar prices have two decimals, for limits and stops")
def sub_penny(desk):
    says = "sub-penny increment does not fulfill minimum pricing criteria"
    refused(lambda: desk.limit(BUY, "AAPL", 290.123), 422, RULE, "invalid limit_price 290.123. " + says)
    stop = lambda: desk.order(StopOrderRequest, BUY, "AAPL", 1, stop_price=290.125)
    refused(stop, 422, RULE, "invalid stop_price 290.125. " + says)


@check("2.5 below a dollar prices have four decimals")
def sub_dollar(desk):
    order = desk.limit(BUY, "F", 0.1234)
    equal(order.limit_price, "0.1234", "limit_price")
    desk.trading.cancel_order_by_id(order.id)
    refused(lambda: desk.limit(BUY, "F", 0.12345), 422, RULE, "sub-penny")


@check("2.1 fractions are DAY orders")
def fraction_gtc(desk):
    refused(
        lambda: desk.buy("AAPL", 0.5, time_in_force=GTC), 422, RULE, "fractional orders must be DAY orders"
    )


@check("2.1 fractions are simple orders")
def fraction_bracket(desk):
    bad(
        desk,
        "fractional orders must be simple orders",
        RULE,
        qty="0.5",
        order_class="bracket",
        take_profit={"limit_price": "220"},
        stop_loss={"stop_price": "180"},
    )


@check("2.1 fractions are market, limit, stop or stop_limit orders")
def fraction_trailing(desk):
    bad(
        desk,
        "fractional orders must be market, limit, stop, or stop_limit orders",
        RULE,
        qty="0.5",
        type="trailing_stop",
        side="sell",
        trail_price="1",
    )


@check("2.1 a fraction cannot be sold short")
def fraction_short(desk):
    desk.flat("T")
    answer = desk.http(
        "POST",
        "/v2/orders",
        json={"symbol": "T", "qty": "0.5", "side": "sell", "type": "market", "time_in_force": "day"},
    )
    assert answer.status_code in (403, 422) and answer.json()["code"] in (RULE, FORBIDDEN), answer.text


@check("2.5 an order by notional is worth a dollar at least")
def small_notional(desk):
    order = lambda: desk.trading.submit_order(
        MarketOrderRequest(symbol="AAPL", notional=0.5, side=BUY, time_in_force=DAY)
    )
    try:
        order()
    except APIError as error:
        assert error.status_code in (403, 422), error
    else:
        raise AssertionError("taken")


@check("2.1 a purchase beyond buying power: 403 40310000 insufficient buying power, with both figures")
def too_dear(desk):
    refusal = refused(
        lambda: desk.limit(BUY, "AAPL", 200, 1_000_000), 403, FORBIDDEN, "insufficient buying power"
    )
    equal(float(refusal.body["cost_basis"]), 200_000_000.0, "cost_basis")
    assert float(refusal.body["buying_power"]) > 0 and isinstance(refusal.body["buying_power"], str)


@check(
    "2.1 shares that orders hold cannot be sold again: 403 with available, held_for_orders and the orders"
)
def held_shares(desk):
    desk.market.quote("XOM", 109.99, 110.01)
    desk.hold("XOM", 10)
    order = desk.limit(SELL, "XOM", 130, 10)
    refusal = refused(
        lambda: desk.limit(SELL, "XOM", 131, 6),
        403,
        FORBIDDEN,
        r"insufficient qty available for order \(requested: 6, available: 0\)",
    )
    body = {key: refusal.body[key] for key in ("available", "existing_qty", "held_for_orders", "symbol")}
    equal(
        body,
        {"available": "0", "existing_qty": "10", "held_for_orders": "10", "symbol": "XOM"},
        "the figures",
    )
    equal(refusal.body["related_orders"], [str(order.id)], "related_orders")
    equal(desk.position("XOM")["qty_available"], "0", "qty_available")


@check("6.3 no order turns a long position into a short one")
def no_flip(desk):
    desk.hold("XOM", 10)
    refused(
        lambda: desk.sell("XOM", 16),
        403,
        FORBIDDEN,
        r"insufficient qty available for order \(requested: 16, available: 10\)",
    )
    desk.flat("XOM")


@check("2.1 flat with a resting buy, no short: cannot open a short sell while a long buy order is open")
def short_against_buy(desk):
    desk.flat("XOM")
    desk.limit(BUY, "XOM", 100)
    refused(
        lambda: desk.limit(SELL, "XOM", 120),
        403,
        FORBIDDEN,
        "cannot open a short sell while a long buy order is open",
    )
    desk.flat("XOM")


@check("2.1 flat with a resting short, no buy: cannot open a long buy while a short sell order is open")
def buy_against_short(desk):
    desk.limit(SELL, "XOM", 120)
    refused(
        lambda: desk.limit(BUY, "XOM", 100),
        403,
        FORBIDDEN,
        "cannot open a long buy while a short sell order is open",
    )
    desk.flat("XOM")


@check("6.5 opposite limits that cross: 403 potential wash trade detected, with the resting order's id")
def wash(desk):
    desk.hold("XOM", 10)
    resting = desk.limit(SELL, "XOM", 115)
    refusal = refused(
        lambda: desk.limit(BUY, "XOM", 115),
        403,
        FORBIDDEN,
        "potential wash trade detected. use complex orders",
    )
    equal(refusal.body["existing_order_id"], str(resting.id), "existing_order_id")
    equal(refusal.body["reject_reason"], "opposite side limit order exists", "reject_reason")


@check("6.5 opposite limits that do not cross are both taken")
def no_wash(desk):
    order = desk.limit(BUY, "XOM", 105)
    equal(desk.reaches(order.id, "new").side, BUY, "side")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")


@check("6.5 a market order against a resting opposite order is always a wash trade")
def wash_market(desk):
    refused(lambda: desk.buy("XOM"), 403, FORBIDDEN, "potential wash trade detected")


@check("6.5 a resting stop makes every opposite order a wash trade")
def wash_stop(desk):
    desk.hold("XOM", 10)
    desk.order(StopOrderRequest, SELL, "XOM", 1, stop_price=100)
    refusal = refused(lambda: desk.limit(BUY, "XOM", 90), 403, FORBIDDEN, "potential wash trade detected")
    equal(refusal.body["reject_reason"], "opposite side market/stop order exists", "reject_reason")


@check("6.5 trailing stops are exempt")
def wash_trailing(desk):
    desk.hold("XOM", 10)
    desk.market.trade("XOM", 110)
    desk.order(TrailingStopOrderRequest, SELL, "XOM", 1, trail_percent=10, time_in_force=GTC)
    order = desk.limit(BUY, "XOM", 90)
    desk.trading.cancel_order_by_id(order.id)
    desk.flat("XOM")


@check("2.1 with no_shorting in the configuration: 403 account is not allowed to short")
def no_shorting(desk):
    desk.raw.patch("/account/configurations", {"no_shorting": True})
    try:
        refused(lambda: desk.sell("XOM"), 403, FORBIDDEN, "account is not allowed to short")
        equal(desk.raw.get_account()["shorting_enabled"], False, "shorting_enabled")
    finally:
        desk.raw.patch("/account/configurations", {"no_shorting": False})


@check("2.1 with suspend_trade every new order is refused with 403 40310000")
def suspended(desk):
    desk.raw.patch("/account/configurations", {"suspend_trade": True})
    try:
        refused(lambda: desk.buy("AAPL"), 403, FORBIDDEN)
        equal(desk.raw.get_account()["trade_suspended_by_user"], True, "trade_suspended_by_user")
    finally:
        desk.raw.patch("/account/configurations", {"suspend_trade": False})


@check("2.2 with fractional_trading off fractions are refused")
def no_fractions(desk):
    desk.raw.patch("/account/configurations", {"fractional_trading": False})
    try:
        refused(lambda: desk.buy("AAPL", 0.5), (403), FORBIDDEN)
    finally:
        desk.raw.patch("/account/configurations", {"fractional_trading": True})


@check("2.1 position intent mismatch, inferred: X, specified: Y")
def wrong_intent(desk):
    desk.flat("AAPL")
    refused(
        lambda: desk.buy("AAPL", position_intent=PositionIntent.SELL_TO_CLOSE),
        422,
        RULE,
        "position intent mismatch, inferred: buy_to_open, specified: sell_to_close",
    )


@check("2.5 OPG and CLS take market and limit orders only")
def auction_types(desk):
    order = lambda tif: desk.order(StopOrderRequest, BUY, "AAPL", 1, stop_price=250, time_in_force=tif)
    refused(lambda: order(TimeInForce.OPG), 422)
    refused(lambda: order(TimeInForce.CLS), 422)


@check("2.5 trailing stops are DAY or GTC and never for extended hours")
def trailing_rules(desk):
    trail = lambda **more: desk.order(TrailingStopOrderRequest, SELL, "AAPL", 1, trail_price=1, **more)
    refused(lambda: trail(time_in_force=TimeInForce.IOC), 422)
    refused(lambda: trail(extended_hours=True), 422)


@check("2.1 a body that is no JSON, or no object, is a 4xx with a message and never a 5xx")
def nonsense(desk):
    for body in (
        "{",
        "[]",
        "42",
        '{"symbol": 7}',
        '{"symbol": "AAPL", "qty": 1e400}',
        '{"symbol": "AAPL", "qty": "NaN"}',
        "\xff\xfe",
    ):
        answer = desk.http("POST", "/v2/orders", data=body.encode("latin-1"))
        assert 400 <= answer.status_code < 500, (body, answer.status_code)
        assert answer.json()["message"], body


@check("2.1 an amount with more than nine decimals is refused")
def too_fine(desk):
    bad(desk, "", None, qty="0.0000000001")
    bad(desk, "", None, qty="1." + "1" * 40)
