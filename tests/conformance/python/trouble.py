"""What goes wrong in real life, switched on for one check at a time, as the SDK meets it."""

import json

import websockets.sync.client as ws
from alpaca.trading.enums import OrderStatus, TradeEvent
from desk import BUY, KEY, SECRET, check, equal, fresh, refused
from listen import Data
from market import BOUND_SECS, until


def start(desk, symbol="AAPL", price=200.0):
    if not desk.trading.get_clock().is_open:
        desk.market.advance_to("2026-06-08", "10:00:00")
    desk.market.quote(symbol, round(price - 0.01, 2), round(price + 0.01, 2), 10_000)


@check("2.1 a 500 may hide an order that was taken: code 50010000, and the order is found by its client id")
def error_after(desk):
    start(desk)
    name = fresh()
    with desk.market.fault(
        "server_error", status=500, deed="done", path="/v2/orders", method="POST", at_most=1
    ):
        refused(
            lambda: desk.limit(BUY, "AAPL", 150, client_order_id=name), 500, 50010000, "internal server error"
        )
    equal(desk.trading.get_order_by_client_id(name).client_order_id, name, "the order that was taken")
    desk.trading.cancel_orders()


@check("2.1 a 500 before the order was taken leaves nothing behind")
def error_before(desk):
    name = fresh()
    with desk.market.fault("server_error", status=500, path="/v2/orders", method="POST", at_most=1):
        refused(lambda: desk.limit(BUY, "AAPL", 150, client_order_id=name), 500, 50010000)
    refused(lambda: desk.trading.get_order_by_client_id(name), 404, 40410000)


@check(
    "7 after a 504 the SDK sends the order again: with a client id it ends in 422 must be unique"
)
def time_out(desk):
    name = fresh()
    with desk.market.fault(
        "server_error", status=504, deed="done", path="/v2/orders", method="POST", at_most=1
    ):
        refused(
            lambda: desk.limit(BUY, "AAPL", 150, client_order_id=name),
            422,
            None,
            "client_order_id must be unique",
        )
    equal(desk.trading.get_order_by_client_id(name).limit_price, "150", "the one order")
    desk.trading.cancel_orders()


@check("7 a 429 at an order is waited out by the SDK, and one order is made")
def storm(desk):
    name = fresh()
    with desk.market.fault("rate_limit", api="trading", method="POST", at_most=1):
        order = desk.limit(BUY, "AAPL", 150, client_order_id=name)
    equal(order.client_order_id, name, "the order")
    desk.trading.cancel_orders()


@check("2.1 the edge may answer HTML: status 502 and a body that is no JSON")
def html(desk):
    with desk.market.fault("html", status=502, path="/v2/positions", at_most=1):
        answer = desk.http("GET", "/v2/positions")
    equal(answer.status_code, 502, "status")
    assert "html" in answer.headers["Content-Type"] and "<" in answer.text, answer.text


@check("2.5 a cancel of all may fail for one: its status and error stand in the 207")
def partial_failure(desk):
    made = {desk.limit(BUY, symbol, 10).id for symbol in ("AAPL", "MSFT")}
    with desk.market.fault("partial_failure", status=500, path="/v2/orders", at_most=1):
        answers = desk.trading.cancel_orders()
    equal({it.id for it in answers}, made, "the orders")
    equal(sorted(it.status for it in answers), [200, 500], "the statuses")
    failed = next(it for it in answers if it.status == 500)
    assert failed.body["message"], failed
    equal(desk.see(failed.id).status, OrderStatus.NEW, "the order that was not canceled")
    desk.trading.cancel_orders()


@check("8 a cancel is only a request: an order can stand in pending_cancel for long")
def pending_cancel(desk):
    order = desk.limit(BUY, "AAPL", 150)
    with desk.market.fault("stuck_cancels"):
        desk.trading.cancel_order_by_id(order.id)
        desk.reaches(order.id, "pending_cancel")
        desk.market.advance(60)
        equal(desk.see(order.id).status, OrderStatus.PENDING_CANCEL, "status a minute later")
        open_ids = {it["id"] for it in desk.raw.get("/orders")}
        assert str(order.id) in open_ids, "it still counts as open"
    desk.reaches(order.id, "canceled")


@check("2.1 an order in pending_cancel cannot be replaced")
def replace_pending(desk):
    order = desk.limit(BUY, "AAPL", 150)
    with desk.market.fault("stuck_cancels"):
        desk.trading.cancel_order_by_id(order.id)
        desk.reaches(order.id, "pending_cancel")
        refused(lambda: desk.raw.patch(f"/orders/{order.id}", {"limit_price": "151"}), 422)
    desk.reaches(order.id, "canceled")


@check("4 a halted symbol takes orders and fills none until it trades again")
def halt(desk):
    with desk.market.fault("halt", symbol="AAPL"):
        order = desk.buy("AAPL")
        desk.market.again("AAPL")
        equal(desk.see(order.id).filled_qty, "0", "filled in the halt")
    desk.fills(order)
    desk.flat("AAPL")


@check("8 the account may show an equity that is not so: the SDK's model takes a zero")
def zero_equity(desk):
    with desk.market.fault("equity", amount=0):
        equal(desk.trading.get_account().equity, "0", "equity")
    assert float(desk.trading.get_account().equity) > 0


@check("2.7 the broker's clock may be wrong by seconds")
def skew(desk):
    right = desk.trading.get_clock().timestamp
    with desk.market.fault("clock_skew", skew_secs=-30):
        equal((right - desk.trading.get_clock().timestamp).total_seconds(), 30.0, "the skew")


@check("3 a trade update may come twice: execution_id tells")
def duplicate(desk):
    desk.updates
    with desk.market.fault("duplicate", stream="trades"):
        order = desk.fills(desk.buy("AAPL"))
        until("two fills", lambda: desk.updates.names(order.id).count("fill") == 2)
    fills = [it for it in desk.updates.of(order.id) if it.event == TradeEvent.FILL]
    equal(fills[0].execution_id, fills[1].execution_id, "execution_id")
    desk.flat("AAPL")


@check("8 a trade update may never come: the order's state is found by asking")
def lost(desk):
    desk.updates
    with desk.market.fault("lose", stream="trades"):
        order = desk.fills(desk.buy("AAPL"))
    after = desk.limit(BUY, "AAPL", 150)
    desk.updates.event(after.id, "new")
    equal(desk.updates.names(order.id), [], "events of the order")
    equal(desk.see(order.id).status, OrderStatus.FILLED, "status")
    desk.trading.cancel_orders()
    desk.flat("AAPL")


@check("4 a data socket that drops is opened again by the SDK, with its subscriptions")
def drop(desk):
    stream = Data(desk.ws_base, KEY, SECRET)
    stream.stream.subscribe_trades(stream.keep, "MSFT")
    stream.start()
    until("a trade", lambda: desk.market.trade("MSFT", 400, 1) or stream.seen)
    with desk.market.fault("drop", stream="data", at_most=1):
        desk.market.trade("MSFT", 400, 2)
    until(
        "a trade after the drop",
        lambda: desk.market.trade("MSFT", 400, 3) or [it for it in stream.seen if it.size == 3],
    )
    stream.stream.stop()


@check("8 a data socket may be open, answer pings and be mute")
def mute(desk):
    with ws.connect(f"{desk.ws_base}/v2/sip", proxy=None, open_timeout=BOUND_SECS) as connection:
        hear = lambda: json.loads(connection.recv(timeout=BOUND_SECS))[0]
        hear()
        connection.send(json.dumps({"action": "auth", "key": KEY, "secret": SECRET}))
        hear()
        connection.send(json.dumps({"action": "subscribe", "trades": ["MSFT"]}))
        hear()
        with desk.market.fault("mute", stream="data"):
            desk.market.trade("MSFT", 401, 4)
            assert connection.ping().wait(BOUND_SECS), "no pong"
        desk.market.trade("MSFT", 401, 5)
        found = hear()
        equal(found["s"], 5, "the first trade that is heard")


@check("8 a stale data session makes reconnects fail with 406 until it is reaped, about 90 seconds later")
def ghost(desk):
    def attempt():
        with ws.connect(f"{desk.ws_base}/v2/delayed_sip", proxy=None, open_timeout=BOUND_SECS) as connection:
            connection.recv(timeout=BOUND_SECS)
            connection.send(json.dumps({"action": "auth", "key": KEY, "secret": SECRET}))
            return json.loads(connection.recv(timeout=BOUND_SECS))[0]

    # Sessions of checks before this one may still be leaving: all that leave meanwhile become stale.
    with desk.market.fault("ghost", stream="data"):
        equal(attempt()["msg"], "authenticated", "the first connection")
        until("406", lambda: attempt().get("code") == 406)
    desk.market.advance(91)
    until("a place", lambda: attempt().get("msg") == "authenticated")


@check("8 the trade-update stream may refuse with 429 at the handshake, and lets in later")
def handshake(desk):
    desk.close_updates()
    with desk.market.fault("handshake_429", path="/stream", at_most=1):
        until("a refusal", lambda: refused_once(desk))
    desk.updates
    order = desk.limit(BUY, "AAPL", 150)
    desk.trading.cancel_order_by_id(order.id)
    desk.updates.event(order.id, "canceled")


def refused_once(desk):
    try:
        ws.connect(f"{desk.ws_base}/stream", proxy=None, open_timeout=BOUND_SECS).close()
    except Exception as error:
        return getattr(getattr(error, "response", None), "status_code", None) == 429
    return False


@check("6.2 the paper engine fills about a tenth of what is eligible in part, the rest with the next price")
def partial_fills(desk):
    start(desk, "KO", 70.0)
    parts = 0
    for _ in range(60):
        order = desk.see(desk.limit(BUY, "KO", 71, 10).id)
        if order.status == OrderStatus.PARTIALLY_FILLED:
            parts += 1
            assert 1 <= float(order.filled_qty) < 10 and float(order.filled_qty) % 1 == 0, order.filled_qty
        desk.fills(order)
    assert 1 <= parts <= 20, parts
    desk.flat("KO")


@check("6.2 the paper engine does not look at the size of the quote")
def no_size(desk):
    desk.market.quote("KO", 69.99, 70.01, 1)
    order = desk.fills(desk.limit(BUY, "KO", 70.01, 500))
    equal((order.filled_qty, order.filled_avg_price), ("500", "70.01"), "the fill")
    desk.flat("KO")


@check("6.6 paper charges no fees: cash moves by price and quantity alone")
def no_fees(desk):
    desk.market.quote("KO", 69.99, 70.01, 10_000)
    before = float(desk.raw.get_account()["cash"])
    desk.fills(desk.buy("KO", 10))
    desk.fills(desk.sell("KO", 10))
    account = desk.raw.get_account()
    assert abs(before - float(account["cash"]) - 10 * 0.02) < 0.005, (before, account["cash"])
    equal(float(account["accrued_fees"]), 0.0, "accrued_fees")
