"""Activities. alpaca-py has no method for them on the trading API: its plain GET is what its users use."""

from desk import DECIMAL, STAMP, check, equal, in_session, matches, refused

before = in_session

KEPT = {}


def activities(desk, kind="", **query):
    return desk.trading.get("/account/activities" + kind, query)


@check("2.3 each execution is a FILL row: a bare array, newest first")
def fills(desk):
    desk.market.quote("PEP", 139.99, 140.01, 10_000)
    desk.flat("PEP")
    KEPT["orders"] = [desk.fills(desk.buy("PEP", 2)), desk.fills(desk.sell("PEP", 2))]
    rows = [it for it in activities(desk, activity_types="FILL") if it["symbol"] == "PEP"]
    ids = [str(order.id) for order in KEPT["orders"]]
    assert rows[0]["order_id"] == ids[1] and rows[-1]["order_id"] == ids[0], rows
    KEPT["rows"] = rows


@check("2.3 a FILL row says what, when, at what price, how much, what is left and how the order stands")
def row(desk):
    last = KEPT["rows"][0]
    equal((last["activity_type"], last["side"], last["price"]), ("FILL", "sell", "139.99"), "the row")
    equal(
        (last["leaves_qty"], last["cum_qty"], last["order_status"], last["type"]),
        ("0", "2", "filled", "fill"),
        "it",
    )
    matches(STAMP, last["transaction_time"])
    matches(r"\d{17}::[0-9a-f-]{36}", last["id"])
    matches(DECIMAL, last["qty"])


@check("2.3 the quantities of an order's rows add up to what it filled")
def sums(desk):
    for order in KEPT["orders"]:
        rows = [it for it in KEPT["rows"] if it["order_id"] == str(order.id)]
        equal(sum(float(it["qty"]) for it in rows), 2.0, "the sum")


@check("2.3 the type can stand in the path")
def by_path(desk):
    equal(activities(desk, "/FILL")[0]["id"], KEPT["rows"][0]["id"], "the newest row")
    equal(activities(desk, "/DIV"), [], "dividends")


@check("2.3 page_size cuts, page_token goes on after the last row seen")
def pages(desk):
    every = activities(desk, "/FILL")
    first = activities(desk, "/FILL", page_size=2)
    second = activities(desk, "/FILL", page_size=2, page_token=first[-1]["id"])
    equal([it["id"] for it in first + second], [it["id"] for it in every[:4]], "two pages")


@check("2.3 direction asc turns the rows round")
def ascending(desk):
    newest, oldest = activities(desk, "/FILL"), activities(desk, "/FILL", direction="asc", page_size=1)
    assert oldest[0]["transaction_time"] <= newest[-1]["transaction_time"]


@check("2.3 date is one day, after and until are a range")
def dates(desk):
    equal(activities(desk, "/FILL", date="2026-06-05"), [], "the day before")
    assert activities(desk, "/FILL", date="2026-06-08")
    equal(activities(desk, "/FILL", after="2026-06-09"), [], "after the day")
    equal(activities(desk, "/FILL", until="2026-06-08T13:00:00Z"), [], "before the opening")


@check("2.3 category tells trades from the rest and does not go with activity_types")
def category(desk):
    assert {it["activity_type"] for it in activities(desk, category="trade_activity")} == {"FILL"}
    assert "FILL" not in {it["activity_type"] for it in activities(desk, category="non_trade_activity")}
    refused(lambda: activities(desk, category="trade_activity", activity_types="FILL"), 422)


@check("2.1 an unknown type or a page beyond 100 is a parameter error: 422")
def bad(desk):
    refused(lambda: activities(desk, page_size=101), 422)
    refused(lambda: activities(desk, activity_types="WISH"), 422)
