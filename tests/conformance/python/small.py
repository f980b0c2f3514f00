"""An account of less than 2,000 USD: no margin, no shorts."""

from desk import BUY, check, equal, in_session, refused

before = in_session
FORBIDDEN = 40310000


@check("6.3 below 2,000 USD of equity the multiplier is 1 and buying power is the cash")
def no_margin(desk):
    account = desk.raw.get_account()
    equal(
        (account["multiplier"], float(account["buying_power"])), ("1", 1_500.0), "multiplier and buying power"
    )


@check("6.3 below 2,000 USD nothing is sold short: 403 40310000")
def no_short(desk):
    desk.market.quote("KO", 69.99, 70.01)
    refused(lambda: desk.sell("KO"), 403, FORBIDDEN)
    equal(desk.raw.get_account()["shorting_enabled"], False, "shorting_enabled")


@check("6.3 without margin a purchase beyond the cash is refused, one within it is taken")
def cash_only(desk):
    refused(lambda: desk.limit(BUY, "KO", 70, 22), 403, FORBIDDEN, "insufficient buying power")
    order = desk.fills(desk.limit(BUY, "KO", 70.01, 20))
    equal(order.filled_qty, "20", "filled_qty")
    refused(lambda: desk.limit(BUY, "KO", 70, 2), 403, FORBIDDEN, "insufficient buying power")
