"""Screener and corporate actions."""

from datetime import date

from alpaca.data.enums import MostActivesBy
from alpaca.data.requests import (
    CorporateActionsRequest,
    MarketMoversRequest,
    MostActivesRequest,
)
from desk import check, equal


@check("5 the most active stocks, by volume and by trades, at most as many as asked for")
def most_actives(desk):
    for by in (MostActivesBy.VOLUME, MostActivesBy.TRADES):
        found = desk.screener.get_most_actives(MostActivesRequest(top=2, by=by))
        equal(len(found.most_actives), 2, "how many")
        figures = [it.volume if by == MostActivesBy.VOLUME else it.trade_count for it in found.most_actives]
        equal(figures, sorted(figures, reverse=True), "the order")


@check("5 the movers: gainers up, losers down, each with price, change and percent")
def movers(desk):
    found = desk.screener.get_market_movers(MarketMoversRequest(top=5))
    assert found.gainers and all(it.percent_change > 0 for it in found.gainers), found
    assert all(it.percent_change < 0 for it in found.losers)
    assert found.last_updated


@check("5 corporate actions answer an object by kind, empty when there are none")
def corporate_actions(desk):
    request = CorporateActionsRequest(symbols=["AAPL"], start=date(2026, 6, 1), end=date(2026, 6, 9))
    equal(desk.corporate.get_corporate_actions(request).data, {}, "actions")
    body = desk.http("GET", "/v1/corporate-actions", params={"symbols": "AAPL"}).json()
    equal((body["corporate_actions"], body["next_page_token"]), ({}, None), "the answer")
