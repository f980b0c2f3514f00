"""News."""

from alpaca.data.requests import NewsRequest
from desk import STAMP, check, equal, matches

KEPT = {}


def ask(desk, **query):
    return desk.news.get_news(NewsRequest(**query)).data["news"]


@check("5 news have an integer id, a headline, symbols, url and content, and the SDK's model takes them")
def shape(desk):
    found = ask(desk)
    assert found, "no news"
    KEPT["news"] = found
    body = desk.http("GET", "/v1beta1/news", params={"limit": 50}).json()
    assert "next_page_token" in body
    for item in body["news"]:
        assert type(item["id"]) is int and item["headline"] and isinstance(item["symbols"], list)
        assert "url" in item and "content" in item and isinstance(item["images"], list)
        matches(STAMP, item["created_at"])
        matches(STAMP, item["updated_at"])


@check("5 without a limit ten items come, newest first; at most fifty")
def default_limit(desk):
    items = desk.http("GET", "/v1beta1/news").json()["news"]
    assert len(items) <= 10
    stamps = [it["updated_at"] for it in items]
    equal(stamps, sorted(stamps, reverse=True), "the order")
    equal(desk.http("GET", "/v1beta1/news", params={"limit": 51}).status_code, 400, "status for 51")


@check("5 news are found by symbol")
def by_symbol(desk):
    symbol = next(it.symbols[0] for it in KEPT["news"] if it.symbols)
    found = ask(desk, symbols=symbol)
    assert found and all(symbol in it.symbols for it in found)
    equal(ask(desk, symbols="ZZZZ"), [], "of nobody")


@check("5 news page by token, in either order")
def pages(desk):
    for sort in ("asc", "desc"):
        query, seen = {"limit": 1, "sort": sort}, []
        for _ in range(200):
            page = desk.http("GET", "/v1beta1/news", params=query).json()
            seen += [it["id"] for it in page["news"]]
            if page["next_page_token"] is None:
                break
            query["page_token"] = page["next_page_token"]
        equal(len(seen), len(set(seen)), "different ids")
        equal(seen[:1], [ask(desk, sort=sort)[0].id], f"the first of {sort}")


@check("5 content is left out unless it is asked for")
def content(desk):
    assert all(it.content == "" for it in ask(desk))
    assert any(it.content for it in ask(desk, include_content=True))
    assert all(it.content for it in ask(desk, include_content=True, exclude_contentless=True))


@check("5 start and end bound news")
def bounds(desk):
    newest = KEPT["news"][0]
    equal([it.id for it in ask(desk, start=newest.updated_at, limit=1)], [newest.id], "from the newest on")
    equal(
        desk.http("GET", "/v1beta1/news", params={"start": "whenever"}).status_code,
        400,
        "status for nonsense",
    )
