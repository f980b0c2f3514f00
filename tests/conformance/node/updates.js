// Trade updates: by the SDK's stream, on bare connections, and as server-sent events by plain fetch, for which
// the SDK has no method on the trading API.
"use strict";

const { assert, topic, inSession, KEY, SECRET, STAMP, UUID } = require("./desk");
const { Socket } = require("./listen");
const { until } = require("./market");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const kept = {};

/** A bare connection; the account may have one, so the SDK's is closed first. */
async function socket(desk) {
  desk.closeUpdates();
  return until("a place on the stream", async () => {
    try {
      return await new Socket(`${desk.ws}/stream`).open();
    } catch (error) {
      if (/HTTP 429/.test(error.message)) return undefined;
      throw error;
    }
  });
}

/** The events of the event stream, one after the other. */
async function* events(desk, query, abort) {
  const headers = { "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET, Accept: "text/event-stream" };
  const answer = await fetch(`${desk.base}/v2/events/trades${query}`, { headers, signal: abort.signal });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  kept.listening?.();
  let text = "";
  for await (const chunk of answer.body) {
    text += Buffer.from(chunk).toString();
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
  }
}

check("fill", "3 a market order announces new, then fill with its price, qty and position", async (desk) => {
  await desk.market.quote("JPM", 249.99, 250.01, 10_000);
  await desk.flat("JPM");
  const updates = await desk.updates();
  const order = await desk.fills(await desk.buy("JPM"));
  const update = await updates.event(order.id, "fill");
  assert.deepEqual(updates.names(order.id).slice(-2), ["new", "fill"]);
  assert.deepEqual([update.price, update.qty, update.positionQty], ["250.01", "1", "1"]);
  assert.match(update.executionId, UUID);
  assert.deepEqual([update.order.status, update.order.filledQty], ["filled", "1"]);
  await desk.flat("JPM");
});

check("canceled", "3 a cancel announces canceled without price and qty", async (desk) => {
  const updates = await desk.updates();
  const order = await desk.limit("buy", "JPM", 100);
  await desk.cancel(order.id);
  const update = await updates.event(order.id, "canceled");
  assert.ok(update.price == null && update.qty == null && update.timestamp instanceof Date);
});

check("replaced", "3 replaced carries the old order, and the new one announces itself", async (desk) => {
  const updates = await desk.updates();
  const order = await desk.limit("buy", "JPM", 100);
  await updates.event(order.id, "new");
  const next = await desk.orders.patchOrderByOrderId({
    orderId: order.id,
    patchOrderRequest: { limitPrice: "101" },
  });
  const update = await updates.event(order.id, "replaced");
  assert.deepEqual([update.order.limitPrice, update.order.replacedBy], ["100", next.id]);
  await updates.event(next.id, "new");
  await desk.cancel(next.id);
});

check("second", "3 a second connection is refused with HTTP 429", async (desk) => {
  await desk.updates();
  await assert.rejects(new Socket(`${desk.ws}/stream`).open(), /HTTP 429/);
});

check("binary", "3 the paper stream sends binary frames that hold JSON", async (desk) => {
  const connection = await socket(desk);
  connection.say({ action: "auth", key: KEY, secret: SECRET });
  const frame = await connection.frame();
  assert.equal(frame.binary, true);
  assert.deepEqual(JSON.parse(frame.text).data, { status: "authorized", action: "authenticate" });
  connection.close();
});

check(
  "listen",
  "3 listening before authentication is unauthorized; afterwards unknown streams are left out",
  async (desk) => {
    const connection = await socket(desk);
    const listen = (streams) => connection.say({ action: "listen", data: { streams } });
    listen(["trade_updates"]);
    assert.deepEqual((await connection.hear()).data, { status: "unauthorized", action: "listen" });
    connection.close();
    const other = await socket(desk);
    other.say({ action: "authenticate", data: { key_id: KEY, secret_key: SECRET } });
    assert.equal((await other.hear()).data.status, "authorized");
    other.say({ action: "listen", data: { streams: ["trade_updates", "account_updates"] } });
    assert.deepEqual(await other.hear(), { stream: "listening", data: { streams: ["trade_updates"] } });
    other.close();
  },
);

check("no_replay", "3 what happens while nobody listens is not sent again", async (desk) => {
  desk.closeUpdates();
  const missed = await desk.limit("buy", "JPM", 100);
  const updates = await desk.updates();
  const seen = await desk.limit("buy", "JPM", 100);
  await updates.event(seen.id, "new");
  assert.deepEqual(updates.names(missed.id), []);
  await desk.orders.deleteAllOrders();
});

check("events", "3 the event stream sends each update with a ULID and the full order", async (desk) => {
  const abort = new AbortController();
  const listening = new Promise((done) => (kept.listening = done));
  const found = (async () => {
    for await (const event of events(desk, "", abort)) if (event.event === "new") return event;
    throw new Error("the event stream ended");
  })();
  await listening;
  const order = await desk.limit("buy", "JPM", 100);
  const event = await found;
  abort.abort();
  assert.equal(event.order.id, order.id);
  assert.match(event.event_id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  assert.match(event.at, STAMP);
  kept.event = event.event_id;
  await desk.cancel(order.id);
  await desk.reaches(order.id, "canceled");
});

check("replay", "3 since_id replays what came after that event", async (desk) => {
  const abort = new AbortController();
  for await (const event of events(desk, `?since_id=${kept.event}`, abort)) {
    assert.equal(event.event, "canceled");
    break;
  }
  abort.abort();
});
