"""Historical trades, quotes and auctions, against the files that the broker plays."""

import csv
from datetime import datetime, timezone
from pathlib import Path

from alpaca.common.enums import Sort
from alpaca.data.requests import StockQuotesRequest, StockTradesRequest
from desk import STAMP, check, equal, matches

FIRST, SECOND = "2026-06-08", "2026-06-09"
FOLDER = Path(__file__).parent.parent / "data"


def rows(name):
    with (FOLDER / name).open() as file:
        return list(csv.DictReader(file))


def start(day=FIRST):
    return datetime.fromisoformat(f"{day}T13:00:00").replace(tzinfo=timezone.utc)


@check("5 trades are those of the market, with their exchange and nanoseconds")
def trades(desk):
    found = desk.data.get_stock_trades(StockTradesRequest(symbol_or_symbols="SPY", start=start())).data["SPY"]
    expected = rows("trades.csv")
    equal(
        [(it.price, it.size) for it in found],
        [(float(it["price"]), float(it["size"])) for it in expected],
        "price and size",
    )
    raw = desk.http("GET", "/v2/stocks/trades", params={"symbols": "SPY", "start": FIRST}).json()["trades"][
        "SPY"
    ]
    equal([it["t"] for it in raw], [it["timestamp"] for it in expected], "stamps")
    equal({it["x"] for it in raw}, {"V"}, "exchanges")


@check("5 a trade has t, x, p, s, c, i and z; ids are integers, each another one")
def trade_keys(desk):
    body = desk.http("GET", "/v2/stocks/SPY/trades", params={"start": FIRST}).json()
    equal(body["symbol"], "SPY", "symbol")
    for trade in body["trades"]:
        assert set("t x p s c i z".split()) <= set(trade), trade
        assert type(trade["i"]) is int and type(trade["s"]) is int and isinstance(trade["c"], list), trade
        assert trade["z"] in ("A", "B", "C", "N", "O"), trade
    equal(len({it["i"] for it in body["trades"]}), len(body["trades"]), "different ids")


@check("5 quotes are those of the market, sizes in shares")
def quotes(desk):
    found = desk.data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="SPY", start=start())).data["SPY"]
    equal(
        [(it.bid_price, it.bid_size, it.ask_price, it.ask_size) for it in found],
        [
            tuple(float(it[name]) for name in ("bid_price", "bid_size", "ask_price", "ask_size"))
            for it in rows("quotes.csv")
        ],
        "quotes",
    )


@check("5 a quote has t, bx, bp, bs, ax, ap, as, c and z")
def quote_keys(desk):
    for quote in desk.http("GET", "/v2/stocks/SPY/quotes", params={"start": FIRST}).json()["quotes"]:
        assert set("t bx bp bs ax ap as c z".split()) <= set(quote), quote
        matches(STAMP, quote["t"])


@check("5 trades and quotes page by token and sort like bars")
def pages(desk):
    for kind in ("trades", "quotes"):
        query, seen = {"symbols": "SPY", "start": FIRST, "limit": 5, "sort": "desc"}, []
        for _ in range(10):
            page = desk.http("GET", f"/v2/stocks/{kind}", params=query).json()
            seen += [it["t"] for it in page[kind].get("SPY", [])]
            if page["next_page_token"] is None:
                break
            query["page_token"] = page["next_page_token"]
        equal(
            seen, sorted((it["timestamp"] for it in rows(f"{kind}.csv")), reverse=True), f"stamps of {kind}"
        )


@check("5 the SDK's limit is the total wanted")
def limits(desk):
    request = StockTradesRequest(symbol_or_symbols="SPY", start=start(), limit=7, sort=Sort.DESC)
    found = desk.data.get_stock_trades(request).data["SPY"]
    equal(len(found), 7, "trades")
    assert found[0].timestamp > found[-1].timestamp


@check("5 start and end bound trades and quotes, both inclusive")
def bounds(desk):
    first = rows("trades.csv")[0]["timestamp"]
    found = desk.http(
        "GET", "/v2/stocks/trades", params={"symbols": "SPY", "start": first, "end": first}
    ).json()
    equal([it["t"] for it in found["trades"]["SPY"]], [first], "the one trade")


@check("5 auctions have an endpoint of their own, for several symbols and for one")
def auctions(desk):
    body = desk.http("GET", "/v2/stocks/auctions", params={"symbols": "SPY", "start": FIRST}).json()
    assert isinstance(body["auctions"], dict) and "next_page_token" in body
    body = desk.http("GET", "/v2/stocks/SPY/auctions", params={"start": FIRST}).json()
    equal(body["symbol"], "SPY", "symbol")


@check("5 exchanges and conditions are explained by the meta endpoints")
def meta(desk):
    exchanges = desk.http("GET", "/v2/stocks/meta/exchanges").json()
    assert isinstance(exchanges["V"], str), exchanges
    for kind in ("trade", "quote"):
        conditions = desk.http("GET", f"/v2/stocks/meta/conditions/{kind}", params={"tape": "A"}).json()
        assert conditions and all(isinstance(it, str) for it in conditions.values())
