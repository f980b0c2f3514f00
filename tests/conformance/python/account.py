"""The account and its configuration, and what every answer carries."""

from uuid import UUID

from alpaca.trading.enums import (
    AccountStatus,
    DTBPCheck,
    PDTCheck,
    TradeConfirmationEmail,
)
from alpaca.trading.models import AccountConfiguration
from desk import DECIMAL, STAMP, check, equal, matches, refused

AMOUNTS = """buying_power regt_buying_power non_marginable_buying_power options_buying_power cash accrued_fees
    pending_transfer_in pending_transfer_out pending_reg_taf_fees portfolio_value equity last_equity
    long_market_value short_market_value initial_margin maintenance_margin last_maintenance_margin sma
    multiplier intraday_adjustments""".split()


@check("2.2 the account is active, in dollars, and the SDK's model takes it")
def model(desk):
    account = desk.trading.get_account()
    equal(account.status, AccountStatus.ACTIVE, "status")
    equal(account.currency, "USD", "currency")
    assert isinstance(account.id, UUID) and account.created_at
    assert not (account.trading_blocked or account.transfers_blocked or account.account_blocked)


@check("1 numbers of paper accounts start with PA")
def number(desk):
    matches(r"PA\w+", desk.raw.get_account()["account_number"])


@check("2.2 every amount of the account is a decimal in a string")
def amounts_are_strings(desk):
    account = desk.raw.get_account()
    for name in AMOUNTS:
        matches(DECIMAL, account[name])


@check("2.2 created_at is RFC 3339, balance_asof a date, option levels integers 0 to 3")
def other_fields(desk):
    account = desk.raw.get_account()
    matches(STAMP, account["created_at"])
    matches(r"\d{4}-\d\d-\d\d", account["balance_asof"])
    for name in ("options_approved_level", "options_trading_level"):
        assert type(account[name]) is int and 0 <= account[name] <= 3, account[name]
    for name in ("trade_suspended_by_user", "shorting_enabled"):
        assert type(account[name]) is bool, account[name]


@check("2.2 equity is cash and long and short market value; portfolio_value is its old name")
def equity_adds_up(desk):
    account = desk.raw.get_account()
    value = {name: float(account[name]) for name in AMOUNTS}
    equal(value["equity"], value["cash"] + value["long_market_value"] + value["short_market_value"], "equity")
    equal(account["portfolio_value"], account["equity"], "portfolio_value")


@check("2.2 with multiplier 4 buying power is four times last equity less last maintenance margin")
def buying_power(desk):
    account = desk.raw.get_account()
    equal(account["multiplier"], "4", "multiplier")
    last = float(account["last_equity"]) - float(account["last_maintenance_margin"])
    equal(float(account["buying_power"]), 4 * last, "buying_power")
    equal(
        float(account["non_marginable_buying_power"]), float(account["cash"]), "non_marginable_buying_power"
    )


@check("2.2 fields of day trading, gone in 2026, do no harm when they are there: a bool and an int")
def day_trading_fields(desk):
    account = desk.raw.get_account()
    assert account.get("pattern_day_trader", False) is False
    assert type(account.get("daytrade_count", 0)) is int


@check("2.2 the configuration has every key that the SDK requires")
def configuration(desk):
    found = desk.trading.get_account_configurations()
    assert isinstance(found, AccountConfiguration)
    equal(found.suspend_trade, False, "suspend_trade")
    equal(found.no_shorting, False, "no_shorting")
    equal(found.fractional_trading, True, "fractional_trading")
    equal(found.max_margin_multiplier, "4", "max_margin_multiplier")
    equal(found.trade_confirm_email, TradeConfirmationEmail.ALL, "trade_confirm_email")


@check("2.2 disable_overnight_trading is part of the configuration, max_options_trading_level may be null")
def configuration_keys(desk):
    found = desk.raw.get_account_configurations()
    assert type(found["disable_overnight_trading"]) is bool
    assert "max_options_trading_level" in found


@check("2.0 PATCH of the whole configuration with nulls in it leaves those alone and answers the new one")
def configure(desk):
    found = desk.trading.get_account_configurations()
    found.dtbp_check, found.pdt_check = None, None
    found.max_margin_multiplier = "2"
    found.trade_confirm_email = TradeConfirmationEmail.NONE
    changed = desk.trading.set_account_configurations(found)
    equal(changed.max_margin_multiplier, "2", "max_margin_multiplier")
    equal(changed.trade_confirm_email, TradeConfirmationEmail.NONE, "trade_confirm_email")
    equal(desk.raw.get_account_configurations()["max_margin_multiplier"], "2", "what is kept")


@check("2.2 multiplier 2 gives twice the equity as buying power, multiplier 1 the cash")
def margin_multiplier(desk):
    for multiplier in (2, 1):
        desk.raw.patch("/account/configurations", {"max_margin_multiplier": str(multiplier)})
        account = desk.raw.get_account()
        equal(account["multiplier"], str(multiplier), "multiplier")
        equal(float(account["buying_power"]), multiplier * float(account["equity"]), "buying_power")
    desk.raw.patch("/account/configurations", {"max_margin_multiplier": "4", "trade_confirm_email": "all"})
    equal(desk.raw.get_account()["multiplier"], "4", "multiplier at last")


@check("2.2 dtbp_check and pdt_check take both, entry and exit, where they are still known")
def old_checks(desk):
    found = desk.trading.get_account_configurations()
    found.dtbp_check, found.pdt_check = DTBPCheck.ENTRY, PDTCheck.EXIT
    desk.trading.set_account_configurations(found)


@check("2.1 a configuration value that does not exist is a parameter error, 422 40010001")
def bad_configuration(desk):
    patch = lambda **fields: desk.raw.patch("/account/configurations", fields)
    refused(lambda: patch(max_margin_multiplier="3"), 422, 40010001)
    refused(lambda: patch(trade_confirm_email="sometimes"), 422, 40010001)
    equal(desk.raw.get_account_configurations()["max_margin_multiplier"], "4", "what is kept")


@check("2.1 every trading answer carries X-Request-ID: 32 hex digits, another one each time")
def request_id(desk):
    ids = [
        desk.http("GET", path).headers["X-Request-ID"] for path in ("/v2/account", "/v2/clock", "/v2/nothing")
    ]
    for found in ids:
        matches(r"[0-9a-f]{32}", found)
    equal(len(set(ids)), 3, "different ids")


@check("2.1 a path that does not exist is 404 40410000 endpoint not found")
def no_endpoint(desk):
    refused(lambda: desk.raw.get("/nothing"), 404, 40410000, "endpoint not found")


@check("2.0 requests come with Accept-Encoding gzip and are understood whatever comes back")
def compressed(desk):
    answer = desk.http("GET", "/v2/assets", headers={"Accept-Encoding": "gzip, deflate"})
    equal(answer.status_code, 200, "status")
    assert answer.json()
