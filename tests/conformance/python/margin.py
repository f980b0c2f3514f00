"""Buying power and margin."""

from desk import BUY, SELL, check, in_session

before = in_session


def account(desk, *names):
    found = desk.raw.get_account()
    values = [float(found[name]) for name in names]
    return values if len(values) > 1 else values[0]


def power(desk):
    return account(desk, "buying_power")


def start(desk, symbol, price):
    desk.market.quote(symbol, round(price - 0.01, 2), round(price + 0.01, 2), 100_000)
    desk.market.trade(symbol, price)


def near(found, expected, what, by=0.01):
    assert abs(found - expected) <= by, f"{what} is {found}, not {expected}"


@check("6.3 an open buy holds its limit times its quantity, and a cancel gives it back")
def open_buy(desk):
    start(desk, "XOM", 110.0)
    whole = power(desk)
    order = desk.limit(BUY, "XOM", 100, 50)
    near(whole - power(desk), 5_000, "what is held")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    near(power(desk), whole, "buying power afterwards")


@check("6.3 an open short sale holds the larger of its limit and three percent above the offer")
def open_short(desk):
    whole = power(desk)
    order = desk.limit(SELL, "XOM", 120, 10)
    near(whole - power(desk), 1_200, "what a limit far above the offer holds")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    order = desk.limit(SELL, "XOM", 111, 10)
    near(whole - power(desk), 110.01 * 1.03 * 10, "what a limit near the offer holds")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")


@check("6.3 a long position has an initial margin of half its value and a maintenance of thirty percent")
def long_margin(desk):
    desk.hold("XOM", 100)
    value, initial, maintenance = account(desk, "long_market_value", "initial_margin", "maintenance_margin")
    near(value, 11_000, "long_market_value", 2)
    near(initial, value / 2, "initial_margin")
    near(maintenance, 0.3 * value, "maintenance_margin")


@check("6.3 a sale of what is held frees its buying power only when it executes")
def sale(desk):
    before_sale = power(desk)
    order = desk.limit(SELL, "XOM", 130, 100)
    near(power(desk), before_sale, "buying power while the sale rests")
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    desk.flat("XOM")
    assert power(desk) > before_sale, "a sale freed nothing"


@check("6.3 a long position below 2.50 USD has its whole value as maintenance")
def cheap(desk):
    start(desk, "F", 2.0)
    desk.hold("F", 100)
    value, maintenance = account(desk, "long_market_value", "maintenance_margin")
    near(maintenance, value, "maintenance_margin")
    desk.flat("F")
    start(desk, "F", 12.0)


@check("6.3 a short position's maintenance is thirty percent, and at least 5 USD a share")
def short_margin(desk):
    desk.hold("XOM", -100)
    value, maintenance = account(desk, "short_market_value", "maintenance_margin")
    near(maintenance, 0.3 * -value, "maintenance_margin")
    desk.flat("XOM")
    start(desk, "F", 10.0)
    desk.hold("F", -100)
    near(account(desk, "maintenance_margin"), 500, "maintenance_margin of a cheap short")
    desk.flat("F")
    start(desk, "F", 12.0)


@check("6.3 cash, value and equity add up after every trade")
def balance(desk):
    cash = account(desk, "cash")
    desk.fills(desk.buy("XOM", 10))
    now, value, equity = account(desk, "cash", "long_market_value", "equity")
    near(now, cash - 10 * 110.01, "cash")
    near(equity, now + value, "equity")
    desk.flat("XOM")
    near(account(desk, "cash"), cash - 10 * 0.02, "cash at last")
