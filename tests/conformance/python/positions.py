"""Positions."""

from alpaca.trading.enums import AssetExchange, PositionSide
from alpaca.trading.requests import ClosePositionRequest
from desk import BUY, DECIMAL, SELL, check, equal, in_session, matches, refused

before = in_session

FORBIDDEN = 40310000
AMOUNTS = """qty avg_entry_price market_value cost_basis unrealized_pl unrealized_plpc unrealized_intraday_pl
    unrealized_intraday_plpc current_price lastday_price change_today qty_available""".split()


def start(desk, qty, symbol="INTC", price=40.0):
    desk.market.quote(symbol, round(price - 0.01, 2), round(price + 0.01, 2), 100_000)
    desk.market.trade(symbol, price)
    desk.hold(symbol, qty)


@check("2.6 a long position: the SDK's model takes it, side long, exchange and class named")
def long(desk):
    start(desk, 100)
    position = desk.trading.get_open_position("INTC")
    equal(
        (position.side, position.qty, position.exchange),
        (PositionSide.LONG, "100", AssetExchange.NASDAQ),
        "it",
    )
    equal(position.asset_id, desk.trading.get_asset("INTC").id, "asset_id")


@check("2.6 every figure of a position is a decimal in a string")
def strings(desk):
    position = desk.position("INTC")
    for name in AMOUNTS:
        # On the first day of a market there is no day before.
        if name not in ("lastday_price", "change_today"):
            matches(DECIMAL, position[name])
    equal(type(position["asset_marginable"]), bool, "asset_marginable")


@check("2.6 cost, value and gain add up; percentages are fractions of the cost")
def adds_up(desk):
    desk.market.quote("INTC", 43.99, 44.01, 100_000)
    desk.market.trade("INTC", 44)
    figures = {name: float(desk.position("INTC")[name] or 0) for name in AMOUNTS}
    equal((figures["avg_entry_price"], figures["cost_basis"]), (40.01, 4001.0), "cost")
    equal(figures["current_price"], 44.0, "current_price")
    equal(figures["market_value"], 4400.0, "market_value")
    equal(figures["unrealized_pl"], 399.0, "unrealized_pl")
    assert abs(figures["unrealized_plpc"] - 399 / 4001) < 1e-6, figures["unrealized_plpc"]


@check("2.6 a position is found by asset id, too, and stands in the list")
def by_id(desk):
    position = desk.trading.get_open_position("INTC")
    equal(desk.trading.get_open_position(position.asset_id).symbol, "INTC", "by id")
    assert "INTC" in {it.symbol for it in desk.trading.get_all_positions()}


@check("2.6 a resting sell order reduces qty_available and nothing else")
def available(desk):
    order = desk.limit(SELL, "INTC", 60, 30)
    position = desk.position("INTC")
    equal((position["qty"], position["qty_available"]), ("100", "70"), "qty and qty_available")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")


@check("2.6 a position is closed in part by qty; the answer is the closing market order")
def close_qty(desk):
    order = desk.trading.close_position("INTC", ClosePositionRequest(qty="25"))
    equal(
        (order.symbol, order.side, order.qty, order.type.value), ("INTC", SELL, "25", "market"), "the order"
    )
    desk.fills(order)
    equal(desk.position("INTC")["qty"], "75", "what is left")


@check("2.6 a position is closed in part by percentage")
def close_percentage(desk):
    order = desk.trading.close_position("INTC", ClosePositionRequest(percentage="40"))
    equal(order.qty, "30", "qty")
    desk.fills(order)
    equal(desk.position("INTC")["qty"], "45", "what is left")


@check("2.6 a percentage of more than 100, or more than is held, is refused")
def close_too_much(desk):
    for query in ("percentage=101", "percentage=-1", "qty=46", "qty=0"):
        answer = desk.http("DELETE", f"/v2/positions/INTC?{query}")
        assert answer.status_code in (403, 422), (query, answer.status_code, answer.text)
    equal(desk.position("INTC")["qty"], "45", "what is held")


@check("2.1 shares that orders hold cannot be closed: 403 insufficient qty available, with the figures")
def close_held(desk):
    order = desk.limit(SELL, "INTC", 60, 45)
    refusal = refused(
        lambda: desk.trading.close_position("INTC"), 403, FORBIDDEN, "insufficient qty available"
    )
    equal((refusal.body["held_for_orders"], refusal.body["available"]), ("45", "0"), "the figures")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")


@check("2.6 a position is closed whole and is then 404 position does not exist")
def close(desk):
    desk.fills(desk.trading.close_position("INTC"))
    refused(lambda: desk.trading.get_open_position("INTC"), 404, 40410000, "position does not exist")
    refused(lambda: desk.trading.close_position("INTC"), 404, 40410000, "position does not exist")


@check("2.1 a position of an unknown symbol is 404")
def unknown(desk):
    refused(lambda: desk.trading.get_open_position("ZZZZ"), 404, 40410000)


@check("2.6 a short position has negative qty and value")
def short(desk):
    start(desk, -10)
    position = desk.position("INTC")
    equal((position["side"], position["qty"]), ("short", "-10"), "side and qty")
    equal(
        (float(position["market_value"]), float(position["avg_entry_price"])),
        (-400.0, 39.99),
        "value and entry",
    )


@check("2.6 a short position gains when the price falls")
def short_gain(desk):
    desk.market.quote("INTC", 37.98, 38.00, 100_000)
    desk.market.trade("INTC", 38)
    equal(float(desk.position("INTC")["unrealized_pl"]), 19.9, "unrealized_pl")
    account = desk.raw.get_account()
    assert float(account["short_market_value"]) <= -380, account["short_market_value"]
    order = desk.fills(desk.trading.close_position("INTC"))
    equal((order.side, order.qty), (BUY, "10"), "the closing order")


@check("2.6 closing everything answers 207 with a closing order for each position")
def close_all(desk):
    start(desk, 5)
    start(desk, 5, "T", 20.0)
    answers = desk.trading.close_all_positions(cancel_orders=True)
    assert {"INTC", "T"} <= {it.symbol for it in answers}
    for it in answers:
        equal((it.status, it.body.side), (200, SELL if float(it.body.qty) > 0 else BUY), it.symbol)
        desk.fills(it.body)
    equal(desk.trading.get_all_positions(), [], "what is held")


@check(
    "2.6 closing everything cancels open orders only when told to; else held shares fail with 403 in the 207"
)
def close_all_held(desk):
    start(desk, 5)
    desk.limit(SELL, "INTC", 60, 5)
    answer = next(it for it in desk.trading.close_all_positions(cancel_orders=False) if it.symbol == "INTC")
    equal((answer.status, answer.body.code), (403, FORBIDDEN), "status and code")
    equal(answer.body.available, 0.0, "available")
    answers = desk.trading.close_all_positions(cancel_orders=True)
    equal([it.status for it in answers], [200], "with cancel_orders")
    desk.fills(answers[0].body)


@check("2.6 closing everything with nothing held answers 207 with an empty list")
def close_nothing(desk):
    answer = desk.http("DELETE", "/v2/positions")
    equal((answer.status_code, answer.json()), (207, []), "the answer")
