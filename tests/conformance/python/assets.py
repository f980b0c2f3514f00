"""Assets."""

from uuid import UUID

from alpaca.trading.enums import AssetClass, AssetExchange, AssetStatus
from alpaca.trading.requests import GetAssetsRequest
from desk import DECIMAL, check, equal, matches, refused


@check("2.7 the list of assets holds active, tradable US stocks that the SDK's model takes")
def listed(desk):
    assets = desk.trading.get_all_assets()
    apple = next(it for it in assets if it.symbol == "AAPL")
    equal(apple.asset_class, AssetClass.US_EQUITY, "class")
    equal(apple.status, AssetStatus.ACTIVE, "status")
    equal(apple.exchange, AssetExchange.NASDAQ, "exchange")
    assert apple.tradable and apple.marginable and apple.shortable and apple.fractionable
    assert isinstance(apple.id, UUID)


@check("2.7 filters by status, class and exchange are obeyed")
def filters(desk):
    every = desk.trading.get_all_assets(
        GetAssetsRequest(status=AssetStatus.ACTIVE, asset_class=AssetClass.US_EQUITY)
    )
    assert len(every) >= 16, len(every)
    equal(desk.trading.get_all_assets(GetAssetsRequest(status=AssetStatus.INACTIVE)), [], "inactive ones")
    equal(desk.trading.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO)), [], "coins")
    nyse = desk.trading.get_all_assets(GetAssetsRequest(exchange=AssetExchange.NYSE))
    assert nyse and {it.exchange for it in nyse} == {AssetExchange.NYSE}
    assert len(nyse) < len(every)


@check("2.7 attributes filter assets: the fractional ones in extended hours are among all, IPOs are none")
def attributes(desk):
    some = desk.trading.get_all_assets(GetAssetsRequest(attributes="fractional_eh_enabled"))
    assert all("fractional_eh_enabled" in it.attributes for it in some)
    equal(desk.trading.get_all_assets(GetAssetsRequest(attributes="ipo")), [], "initial offerings")


@check("2.7 an asset is found by symbol and by id, and is the same")
def by_symbol_and_id(desk):
    by_symbol = desk.trading.get_asset("MSFT")
    equal(desk.trading.get_asset(by_symbol.id), by_symbol, "by id")


@check("2.7 the key of the class is class; margins are strings, the old requirement a number")
def shape(desk):
    asset = desk.raw.get_asset("AAPL")
    equal(asset["class"], "us_equity", "class")
    assert "asset_class" not in asset
    matches(DECIMAL, asset["margin_requirement_long"])
    matches(DECIMAL, asset["margin_requirement_short"])
    assert isinstance(asset["maintenance_margin_requirement"], (int, float))
    assert isinstance(asset["attributes"], list) and "cusip" in asset
    equal(asset["borrow_status"], "easy_to_borrow", "borrow_status")


@check("2.1 an unknown asset is 404 40410000 asset not found for X")
def unknown(desk):
    refused(lambda: desk.trading.get_asset("ZZZZ"), 404, 40410000, "asset not found for ZZZZ")


@check("1 symbols are case-sensitive")
def case(desk):
    refused(lambda: desk.trading.get_asset("aapl"), 404, 40410000, "asset not found for aapl")
