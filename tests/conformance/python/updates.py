"""Trade updates: the WebSocket by the SDK and raw, and server-sent events by the plain client that comes with the
SDK, which has no method for them on the trading API."""

import json
from uuid import UUID

import sseclient
import websockets.sync.client as ws
from alpaca.trading.enums import OrderStatus, TradeEvent
from alpaca.trading.requests import ReplaceOrderRequest
from desk import (
    BUY,
    DECIMAL,
    KEY,
    SECRET,
    STAMP,
    check,
    equal,
    in_session,
    matches,
)
from market import BOUND_SECS, until

before = in_session

KEPT = {}


def socket(desk):
    """A bare connection; the account may have one, so the SDK's is closed first."""
    desk.close_updates()
    connection = until("the stream lets a second one in", lambda: try_connect(desk))
    return connection


def try_connect(desk, **more):
    try:
        return ws.connect(f"{desk.ws_base}/stream", proxy=None, open_timeout=BOUND_SECS, **more)
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 429:
            return None
        raise


def say(connection, message):
    connection.send(json.dumps(message))


def hear(connection):
    return json.loads(connection.recv(timeout=BOUND_SECS))


def listening(desk):
    """A bare connection that is through the handshake."""
    connection = socket(desk)
    say(connection, {"action": "auth", "key": KEY, "secret": SECRET})
    hear(connection)
    say(connection, {"action": "listen", "data": {"streams": ["trade_updates"]}})
    hear(connection)
    return connection


def sse(desk, query=""):
    headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET, "Accept": "text/event-stream"}
    answer = desk.session.get(
        f"{desk.http_base}/v2/events/trades{query}", headers=headers, stream=True, timeout=BOUND_SECS
    )
    equal(answer.status_code, 200, "status of the event stream")
    return answer, (json.loads(it.data) for it in sseclient.SSEClient(answer).events() if it.data)


@check("3 a filled order announces new, then fill with price, qty, position and execution")
def fill(desk):
    desk.market.quote("JPM", 249.99, 250.01, 10_000)
    desk.flat("JPM")
    order = desk.fills(desk.buy("JPM"))
    update = desk.updates.event(order.id, "fill")
    equal(desk.updates.names(order.id)[-2:], ["new", "fill"], "events")
    equal(
        (update.event, update.price, update.qty, update.position_qty),
        (TradeEvent.FILL, 250.01, 1.0, 1.0),
        "update",
    )
    assert isinstance(update.execution_id, UUID)
    equal((update.order.status, update.order.filled_qty), (OrderStatus.FILLED, "1"), "the order inside")
    desk.flat("JPM")


@check("3 a canceled order announces canceled")
def canceled(desk):
    order = desk.limit(BUY, "JPM", 100)
    desk.trading.cancel_order_by_id(order.id)
    update = desk.updates.event(order.id, "canceled")
    equal((update.order.status, update.event), (OrderStatus.CANCELED, TradeEvent.CANCELED), "update")
    assert update.price is None and update.order.canceled_at


@check("3 replaced carries the old order with replaced_by, and the new one gets its own new")
def replaced(desk):
    order = desk.limit(BUY, "JPM", 100)
    desk.updates.event(order.id, "new")
    new = desk.trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=101))
    update = desk.updates.event(order.id, "replaced")
    equal((update.order.limit_price, update.order.replaced_by), ("100", new.id), "the old order inside")
    equal(desk.updates.event(new.id, "new").order.limit_price, "101", "the new order")
    desk.trading.cancel_order_by_id(new.id)


@check("3 an IOC order that finds nothing announces canceled")
def ioc(desk):
    order = desk.limit(BUY, "JPM", 100, time_in_force="ioc")
    desk.updates.event(order.id, "canceled")


@check("3 qty of a partial fill is that execution's, filled_qty in the order is cumulative")
def partial(desk):
    desk.market.quote("JPM", 249.99, 250.01, 1)
    order = desk.fills(desk.limit(BUY, "JPM", 250.01, 3))
    desk.updates.event(order.id, "fill")
    done, position = 0.0, 0.0
    for update in desk.updates.of(order.id):
        if update.event in (TradeEvent.FILL, TradeEvent.PARTIAL_FILL):
            done, position = done + update.qty, position + update.qty
            equal(float(update.order.filled_qty), done, "filled_qty")
            equal(update.position_qty, position, "position_qty")
    equal(done, 3.0, "the sum of the executions")
    desk.market.quote("JPM", 249.99, 250.01, 10_000)
    desk.flat("JPM")


@check("3 position_qty of a short is negative")
def short(desk):
    order = desk.fills(desk.sell("JPM", 2))
    equal(desk.updates.event(order.id, "fill").position_qty, -2.0, "position_qty")
    desk.flat("JPM")


@check("3 a second connection of the account gets HTTP 429 at the handshake")
def second(desk):
    desk.updates
    equal(try_connect(desk), None, "the second connection")


@check("3 the new form of authentication is answered authorized, in binary frames of JSON as on paper")
def new_form(desk):
    with socket(desk) as connection:
        say(connection, {"action": "auth", "key": KEY, "secret": SECRET})
        frame = connection.recv(timeout=BOUND_SECS)
        assert isinstance(frame, bytes), "a text frame"
        expected = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        equal(json.loads(frame), expected, "the answer")


@check("3 the old form is answered authorized, with a word that it is being deprecated")
def old_form(desk):
    with socket(desk) as connection:
        say(connection, {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}})
        data = hear(connection)["data"]
        equal((data["status"], data["action"]), ("authorized", "authenticate"), "the answer")
        assert "deprecated" in data["message"], data


@check("3 listen before authentication is answered unauthorized")
def listen_first(desk):
    with socket(desk) as connection:
        say(connection, {"action": "listen", "data": {"streams": ["trade_updates"]}})
        expected = {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}}
        equal(hear(connection), expected, "the answer")


@check("3 listen replaces the whole set, leaves unknown streams out, and an empty set stops")
def listen_sets(desk):
    with socket(desk) as connection:
        say(connection, {"action": "auth", "key": KEY, "secret": SECRET})
        hear(connection)
        for asked, granted in ((["trade_updates", "account_updates"], ["trade_updates"]), ([], [])):
            say(connection, {"action": "listen", "data": {"streams": asked}})
            equal(hear(connection), {"stream": "listening", "data": {"streams": granted}}, "the answer")


@check("3 the frame of an update names stream, event, execution, time and the full order")
def frame(desk):
    with listening(desk) as connection:
        order = desk.limit(BUY, "JPM", 100)
        update = hear(connection)
        while update["data"]["event"] != "new":
            update = hear(connection)
        equal(
            (update["stream"], update["data"]["order"]["id"]),
            ("trade_updates", str(order.id)),
            "stream and order",
        )
        matches(STAMP, update["data"]["timestamp"])
        assert "execution_id" in update["data"] and "legs" in update["data"]["order"]
        desk.trading.cancel_order_by_id(order.id)


@check("3 with Content-Type application/msgpack the stream speaks MessagePack")
def msgpack_stream(desk):
    import msgpack

    desk.close_updates()
    header = {"Content-Type": "application/msgpack"}
    connection = until("a connection", lambda: try_connect(desk, additional_headers=header))
    with connection:
        connection.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
        found = msgpack.unpackb(connection.recv(timeout=BOUND_SECS))
        equal(found["data"]["status"], "authorized", "the answer")


@check("3 a connection that speaks nonsense is not what ends the broker")
def nonsense(desk):
    with socket(desk) as connection:
        connection.send("{")
        connection.send(b"\xff\x00")
    equal(desk.http("GET", "/v2/clock").status_code, 200, "status afterwards")


@check("3 the event stream sends updates as they happen, with a ULID and the full order")
def events(desk):
    answer, stream = sse(desk)
    with answer:
        order = desk.limit(BUY, "JPM", 100)
        event = next(it for it in stream if it["order"]["id"] == str(order.id) and it["event"] == "new")
        matches(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", event["event_id"])
        matches(STAMP, event["at"])
        KEPT.update(event=event["event_id"], order=str(order.id))
        desk.trading.cancel_order_by_id(order.id)


@check("3 since_id replays what came after an event, and goes on from there")
def replay(desk):
    answer, stream = sse(desk, f"?since_id={KEPT['event']}")
    with answer:
        first = next(stream)
        equal((first["order"]["id"], first["event"]), (KEPT["order"], "canceled"), "the first replayed event")
        order = desk.fills(desk.buy("JPM"))
        event = next(it for it in stream if it["order"]["id"] == str(order.id) and it["event"] == "fill")
        matches(DECIMAL, event["price"])
        equal((event["qty"], event["position_qty"]), ("1", "1"), "qty and position_qty")
    desk.flat("JPM")


@check("3 since replays from a moment on, until ends the stream there")
def since(desk):
    answer, stream = sse(desk, "?since=2026-06-08T13:00:00Z&until=2026-06-08T14:00:00Z")
    with answer:
        events = list(stream)
    assert events and events[0]["at"] >= "2026-06-08T13:00", events[:1]
    assert events[-1]["at"] <= "2026-06-08T14:00:01", events[-1:]
    ids = [it["event_id"] for it in events]
    equal(ids, sorted(set(ids)), "the order of ids")


@check("3 the event stream wants the account's keys")
def events_keys(desk):
    answer = desk.session.get(f"{desk.http_base}/v2/events/trades", timeout=BOUND_SECS, stream=True)
    equal(answer.status_code, 401, "status")
    answer.close()
