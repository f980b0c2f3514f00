"""Watchlists."""

from uuid import uuid4

from alpaca.trading.requests import CreateWatchlistRequest, UpdateWatchlistRequest
from desk import check, equal, fresh, refused


def make(desk, name=None, symbols=("AAPL", "MSFT")):
    return desk.trading.create_watchlist(
        CreateWatchlistRequest(name=name or fresh("list"), symbols=list(symbols))
    )


def symbols_of(watchlist):
    return [it.symbol for it in watchlist.assets]


@check("2.7 a new watchlist has its name, the account's id and its assets in order")
def create(desk):
    made = make(desk, "first of conformance")
    equal(made.name, "first of conformance", "name")
    equal(made.account_id, desk.trading.get_account().id, "account_id")
    equal(symbols_of(made), ["AAPL", "MSFT"], "assets")
    assert made.updated_at >= made.created_at


@check("2.7 the list of watchlists leaves the assets out, one watchlist has them")
def listing(desk):
    made = make(desk)
    found = next(it for it in desk.raw.get_watchlists() if it["id"] == str(made.id))
    assert "assets" not in found, found
    equal(symbols_of(desk.trading.get_watchlist_by_id(made.id)), ["AAPL", "MSFT"], "assets")


@check("2.7 PUT renames a watchlist and replaces its assets")
def update(desk):
    made, name = make(desk), fresh("list")
    changed = desk.trading.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name=name, symbols=["KO"]))
    equal((changed.name, symbols_of(changed)), (name, ["KO"]), "the new watchlist")


@check("2.7 POST to a watchlist adds a symbol, DELETE of a symbol takes it away")
def add_and_remove(desk):
    made = make(desk)
    equal(
        symbols_of(desk.trading.add_asset_to_watchlist_by_id(made.id, "KO")),
        ["AAPL", "MSFT", "KO"],
        "after adding",
    )
    left = desk.trading.remove_asset_from_watchlist_by_id(made.id, "AAPL")
    equal(symbols_of(left), ["MSFT", "KO"], "after taking away")


@check("2.7 DELETE of a watchlist answers 204 without a body, and then there is none: 404")
def delete(desk):
    made = make(desk)
    answer = desk.http("DELETE", f"/v2/watchlists/{made.id}")
    equal((answer.status_code, answer.text), (204, ""), "the answer")
    refused(lambda: desk.trading.get_watchlist_by_id(made.id), 404)
    refused(lambda: desk.trading.delete_watchlist_by_id(made.id), 404)


@check("2.7 watchlists are found, changed and deleted by name, too")
def by_name(desk):
    name = fresh("list")
    make(desk, name)
    query = f"/v2/watchlists:by_name?name={name}"
    equal(desk.http("GET", query).json()["name"], name, "by name")
    added = desk.http("POST", query, json={"symbol": "KO"}).json()
    equal([it["symbol"] for it in added["assets"]], ["AAPL", "MSFT", "KO"], "after adding")
    put = desk.http("PUT", query, json={"name": name, "symbols": ["F"]}).json()
    equal([it["symbol"] for it in put["assets"]], ["F"], "after replacing")
    equal(desk.http("DELETE", query).status_code, 204, "the deletion's status")
    equal(desk.http("GET", query).status_code, 404, "afterwards")


@check("2.1 a name that is taken is refused: 422 40010001 watchlist name must be unique")
def unique_name(desk):
    name = fresh("list")
    make(desk, name)
    refused(lambda: make(desk, name), 422, 40010001, "watchlist name must be unique")


@check("2.7 a name has at most 64 characters")
def long_name(desk):
    make(desk, fresh("n").ljust(64, "x")[:64])
    refused(lambda: make(desk, "x" * 65), 422)


@check("2.1 an unknown symbol or watchlist is refused: 404, a new list's symbol 404 or 422")
def unknown(desk):
    answer = desk.http("POST", "/v2/watchlists", json={"name": fresh("list"), "symbols": ["ZZZZ"]})
    assert answer.status_code in (404, 422), answer.text
    refused(lambda: desk.trading.get_watchlist_by_id(uuid4()), 404)
    made = make(desk)
    refused(lambda: desk.trading.remove_asset_from_watchlist_by_id(made.id, "KO"), 404)
