// Market data as it happens: by the SDK's streams, which speak MessagePack, and in JSON on bare connections.
"use strict";

const { assert, topic, KEY, SECRET, STAMP } = require("./desk");
const { Data, Socket } = require("./listen");
const { until } = require("./market");
const { checks, check } = topic();
module.exports = { checks };

const kept = {};

/** A bare connection through the handshake, as soon as there is a place. */
function login(desk, path = "/v2/sip") {
  return until(`a place on ${path}`, async () => {
    const socket = await new Socket(desk.ws + path).open();
    assert.deepEqual(await socket.hear(), [{ T: "success", msg: "connected" }]);
    socket.say({ action: "auth", key: KEY, secret: SECRET });
    const [answer] = await socket.hear();
    if (answer.T === "success") return socket;
    socket.close();
    return undefined;
  });
}

const error = (code, msg) => [{ T: "error", code, msg }];

check("subscription", "4 the SDK subscribes and gets the complete set back", async (desk) => {
  kept.stream = desk.stock();
  const found = await kept.stream.open((stream) => {
    stream.subscribeForTrades(["AAPL"]);
  });
  assert.deepEqual(found.trades, ["AAPL"]);
  const more = await kept.stream.change((stream) => stream.subscribeForQuotes(["AAPL"]));
  assert.deepEqual([more.trades, more.quotes], [["AAPL"], ["AAPL"]]);
  await kept.stream.change((stream) => stream.subscribeForBars(["AAPL"]));
  await kept.stream.change((stream) => stream.subscribeForDailyBars(["AAPL"]));
});

check("trade", "4 a trade comes with its id, exchange and time to the nanosecond", async (desk) => {
  await desk.market.quote("AAPL", 221, 221.04, 900);
  await desk.market.trade("AAPL", 221.02, 77);
  const trade = await kept.stream.wait("trade", (it) => it.size === 77);
  assert.deepEqual([trade.symbol, trade.price], ["AAPL", 221.02]);
  assert.ok(Number.isInteger(trade.id) && trade.tape && Array.isArray(trade.conditions));
  assert.match(trade.timestampRaw, STAMP);
  assert.equal(Math.floor(trade.timestamp / 1000), Math.floor((await desk.market.now()) / 1000));
});

check("quote", "4 a quote comes with both sides in shares", async (desk) => {
  await desk.market.quote("AAPL", 222, 222.04, 700);
  const quote = await kept.stream.wait("quote", (it) => it.bidPrice === 222);
  assert.deepEqual([quote.bidSize, quote.askPrice, quote.askSize], [700, 222.04, 700]);
});

check("bar", "4 a minute's bar comes right after the minute", async (desk) => {
  const now = await desk.market.now();
  const start = now - (now % 60_000);
  await desk.market.advance(60);
  const bar = await kept.stream.wait("bar", (it) => Number(it.timestamp) === start);
  assert.equal(bar.close, 221.02);
  assert.ok(bar.tradeCount > 0 && bar.vwap >= bar.low && bar.vwap <= bar.high);
});

check("daily_bar", "4 the day's bar comes with every minute", async (desk) => {
  await desk.market.trade("AAPL", 223, 10);
  await desk.market.advance(60);
  const bar = await kept.stream.wait("daily_bar", (it) => it.close === 223);
  assert.equal(bar.timestamp.toISOString(), "2026-06-09T04:00:00.000Z");
});

check("unsubscribe", "4 unsubscribing subtracts", async (desk) => {
  const left = await kept.stream.change((stream) => stream.unsubscribeFromQuotes(["AAPL"]));
  assert.deepEqual([left.trades, left.quotes], [["AAPL"], []]);
  const before = kept.stream.seen.quote.length;
  await desk.market.quote("AAPL", 224, 224.04, 700);
  await desk.market.trade("AAPL", 224.02, 12);
  await kept.stream.wait("trade", (it) => it.size === 12);
  assert.equal(kept.stream.seen.quote.length, before);
});

check("second", "4 a second connection to an endpoint hears 406 and stays open", async (desk) => {
  const other = desk.stock();
  other.stream.connect();
  await until(
    "406",
    () => other.seen.error.includes("connection limit exceeded"),
    () => other.seen.error.join(),
  );
  assert.equal(other.stream.getState(), "connected");
  other.close();
  kept.stream.close();
});

check("json", "4 JSON is the default: text frames, times in RFC 3339", async (desk) => {
  const socket = await login(desk);
  socket.say({ action: "subscribe", trades: ["AAPL"] });
  const [set] = await socket.hear();
  assert.deepEqual(
    [set.trades, set.corrections, set.cancelErrors, set.lulds],
    [["AAPL"], ["AAPL"], ["AAPL"], []],
  );
  await desk.market.trade("AAPL", 225, 5);
  const frame = await socket.frame();
  assert.equal(frame.binary, false);
  assert.match(JSON.parse(frame.text)[0].t, STAMP);
  socket.close();
});

check("errors", "4 malformed is 400, twice authenticated 403", async (desk) => {
  const socket = await login(desk);
  socket.say("{");
  assert.deepEqual(await socket.hear(), error(400, "invalid syntax"));
  socket.say({ action: "auth", key: KEY, secret: SECRET });
  assert.deepEqual(await socket.hear(), error(403, "already authenticated"));
  socket.close();
});

check("not_authenticated", "4 subscribing first is 401 not authenticated", async (desk) => {
  const socket = await new Socket(`${desk.ws}/v2/sip`).open();
  await socket.hear();
  socket.say({ action: "subscribe", trades: ["AAPL"] });
  assert.deepEqual(await socket.hear(), error(401, "not authenticated"));
  socket.close();
});

check("headers", "4 keys in the handshake's headers authenticate", async (desk) => {
  const headers = { "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET };
  const socket = await new Socket(`${desk.ws}/v2/delayed_sip`, headers).open();
  assert.deepEqual(
    [(await socket.hear())[0].msg, (await socket.hear())[0].msg],
    ["connected", "authenticated"],
  );
  socket.close();
});

check("test_stream", "4 the test stream is always on", async (desk) => {
  const stream = desk.stock("/v2/test");
  await stream.open((it) => it.subscribeForTrades(["FAKEPACA"]));
  assert.equal((await stream.wait("trade", () => true)).symbol, "FAKEPACA");
  stream.close();
});

check("news", "4 the news stream acknowledges a star", async (desk) => {
  const stream = new Data(desk.data.newsStream({ url: `${desk.ws}/v1beta1/news`, reconnect: false }));
  const found = await stream.open((it) => it.subscribeForNews(["*"]));
  assert.deepEqual(found.news, ["*"]);
  stream.close();
});

check("symbols", "4 many symbols fit into one subscription", async (desk) => {
  const socket = await login(desk);
  const symbols = Array.from({ length: 5_000 }, (_, n) => `S${String(n).padStart(5, "0")}`);
  socket.say({ action: "subscribe", bars: symbols });
  const [set] = await socket.hear();
  assert.equal(set.bars?.length, 5_000, JSON.stringify(set).slice(0, 200));
  socket.close();
});
