"""Who is let in. The broker of this suite knows one pair of keys."""

import json

import websockets.sync.client as ws
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockLatestQuoteRequest
from desk import KEY, SECRET, check, equal, refused
from market import BOUND_SECS


def connect(desk, path, **headers):
    return ws.connect(
        f"{desk.ws_base}{path}", proxy=None, open_timeout=BOUND_SECS, additional_headers=headers
    )


def hear(connection):
    return json.loads(connection.recv(timeout=BOUND_SECS))


@check("1 the right keys are let in")
def right(desk):
    assert desk.trading.get_account().id


@check("2.1 a wrong key or secret is 401 with a message alone: unauthorized.")
def wrong(desk):
    for key, secret in ((KEY, "guess"), ("PKOTHER", SECRET)):
        refusal = refused(desk.client(key, secret).get_account, 401, None, "^unauthorized\\.$")
        equal(refusal.body, {"message": "unauthorized."}, "the body")


@check("2.1 no key at all is 401, on trading and on market data")
def none(desk):
    for path in ("/v2/account", "/v2/stocks/quotes/latest?symbols=AAPL", "/v1beta1/news"):
        equal(desk.session.get(desk.http_base + path, timeout=20).status_code, 401, f"status of {path}")


@check("2.1 a wrong key on market data is 401 or 403 with a message")
def wrong_on_data(desk):
    client = StockHistoricalDataClient(KEY, "guess", url_override=desk.http_base)
    try:
        client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    except Exception as error:
        assert error.status_code in (401, 403) and error.message, error
    else:
        raise AssertionError("let in")


@check("1 keys may come as Basic authorization")
def basic(desk):
    client = StockHistoricalDataClient(KEY, SECRET, use_basic_auth=True, url_override=desk.http_base)
    assert client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL")) is not None


@check("3 wrong keys on the trade-update stream are answered unauthorized")
def updates(desk):
    with connect(desk, "/stream") as connection:
        connection.send(json.dumps({"action": "auth", "key": KEY, "secret": "guess"}))
        equal(hear(connection)["data"]["status"], "unauthorized", "status")


@check("4 wrong keys on a data stream are answered 402 auth failed")
def data(desk):
    with connect(desk, "/v2/iex") as connection:
        hear(connection)
        connection.send(json.dumps({"action": "auth", "key": KEY, "secret": "guess"}))
        equal(hear(connection), [{"T": "error", "code": 402, "msg": "auth failed"}], "the answer")
