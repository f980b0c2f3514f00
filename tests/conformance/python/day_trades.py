"""The pattern-day-trader rule as it was until 2026-06-04, for an account of less than 25,000 USD."""

from desk import check, equal, in_session, refused

before = in_session


def round_trip(desk, symbol):
    desk.market.quote(symbol, 99.99, 100.01, 10_000)
    desk.fills(desk.buy(symbol))
    desk.fills(desk.sell(symbol))


@check("6.4 the account counts its day trades and is not flagged by three")
def three(desk):
    desk.raw.patch("/account/configurations", {"pdt_check": "both"})
    for symbol in ("AAPL", "MSFT", "KO"):
        round_trip(desk, symbol)
    account = desk.raw.get_account()
    equal((account["daytrade_count"], account["pattern_day_trader"]), (3, False), "the count and the flag")


@check("6.4 the fourth day trade in five days is denied: 403 40310100, at its entry or its exit")
def fourth(desk):
    refused(
        lambda: round_trip(desk, "F"), 403, 40310100, "trade denied due to pattern day trading protection"
    )
    equal(desk.raw.get_account()["daytrade_count"], 3, "the count")
