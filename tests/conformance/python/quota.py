"""The rate limit. The broker of this suite grants 60 requests a minute of market time, which stands still."""

import threading
import time

from alpaca.data.requests import StockLatestQuoteRequest
from desk import check, equal, matches

GRANTED = 60


def exhaust(desk, path="/v2/clock"):
    """Asks until the quota is used up, and returns the refusal."""
    for _ in range(GRANTED + 1):
        answer = desk.http("GET", path)
        if answer.status_code == 429:
            return answer
    raise AssertionError("the quota has no end")


@check("2.1 every answer says the limit, what is left and, in UNIX seconds, when the quota is whole again")
def headers(desk):
    desk.market.advance(60)
    first, second = (desk.http("GET", "/v2/clock").headers for _ in range(2))
    equal(
        (first["X-RateLimit-Limit"], second["X-RateLimit-Limit"]), (str(GRANTED), str(GRANTED)), "the limit"
    )
    equal(
        int(first["X-RateLimit-Remaining"]) - int(second["X-RateLimit-Remaining"]),
        1,
        "what one request takes",
    )
    matches(r"\d{10}", first["X-RateLimit-Reset"])
    ahead = int(first["X-RateLimit-Reset"]) - desk.market.now().timestamp()
    assert 0 <= ahead <= 61, ahead


@check("2.1 beyond the quota: 429 42910000 rate limit exceeded, with the same headers")
def exceeded(desk):
    answer = exhaust(desk)
    equal(answer.json()["code"], 42910000, "code")
    assert "rate limit" in answer.json()["message"]
    equal(answer.headers["X-RateLimit-Remaining"], "0", "what is left")
    matches(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


@check("2.1 market data have a quota of their own")
def two_quotas(desk):
    equal(desk.http("GET", "/v2/clock").status_code, 429, "status on trading")
    request = StockLatestQuoteRequest(symbol_or_symbols="AAPL")
    assert desk.data.get_stock_latest_quote(request) is not None
    answer = exhaust(desk, "/v2/stocks/quotes/latest?symbols=AAPL")
    assert answer.json()["message"], "no message"


@check("2.1 the quota comes back with time")
def comes_back(desk):
    desk.market.advance(60)
    equal(desk.http("GET", "/v2/clock").status_code, 200, "status a minute later")


@check("7 the SDK waits after a 429 and tries again; when the quota is back the call succeeds")
def retry(desk):
    exhaust(desk)
    found = []
    caller = threading.Thread(target=lambda: found.append(desk.trading.get_account()), daemon=True)
    caller.start()
    refused_before = desk.market.status()["http_429"]
    while desk.market.status()["http_429"] == refused_before and caller.is_alive():
        time.sleep(0.01)
    desk.market.advance(60)
    caller.join(timeout=15)
    assert found and found[0].id, "the call did not succeed"
