// What the free data plan does not grant.
"use strict";

const { assert, topic, refused, KEY, SECRET } = require("./desk");
const { Socket } = require("./listen");
const { checks, check } = topic();
module.exports = { checks };

const SECOND = "2026-06-09";

check(
  "recent_sip",
  "5 recent SIP data are 403 subscription does not permit querying recent SIP data",
  async (desk) => {
    await desk.market.advanceTo(SECOND, "10:15:30");
    const says = /subscription does not permit querying recent SIP data/;
    await refused(
      () => desk.data.stocks.stockLatestTrades({ symbols: "SPY", feed: "sip" }),
      403,
      undefined,
      says,
    );
    const query = { symbols: "AAPL", timeframe: "1Min", start: new Date(`${SECOND}T13:30:00Z`), feed: "sip" };
    const end = new Date((await desk.market.now()) - 5 * 60_000);
    await refused(() => desk.data.stocks.stockBars({ ...query, end }), 403, undefined, says);
    const old = await desk.data.stocks.stockBars({ ...query, end: new Date(end - 15 * 60_000) });
    assert.ok(old.bars.AAPL.length > 20);
  },
);

check("iex", "5 IEX data are granted, recent ones too", async (desk) => {
  const { quotes } = await desk.data.stocks.stockLatestQuotes({ symbols: "SPY", feed: "iex" });
  assert.ok(quotes.SPY.bp > 0);
});

check("sip_stream", "4 the SIP stream is 409 insufficient subscription", async (desk) => {
  const socket = await new Socket(`${desk.ws}/v2/sip`).open();
  await socket.hear();
  socket.say({ action: "auth", key: KEY, secret: SECRET });
  assert.deepEqual(await socket.hear(), [{ T: "error", code: 409, msg: "insufficient subscription" }]);
  socket.close();
});

check(
  "symbol_limit",
  "4 more than thirty symbols of trades and quotes are 405, and the set stays",
  async (desk) => {
    const stream = desk.stock();
    await stream.open((it) => it.subscribeForBars(["*"]));
    const symbols = Array.from({ length: 31 }, (_, n) => `S${n}`);
    stream.stream.subscribeForTrades(symbols);
    await stream.wait("error", (it) => it === "symbol limit exceeded");
    const set = await stream.change((it) => it.subscribeForQuotes(["AAPL"]));
    assert.deepEqual([set.trades, set.quotes, set.bars], [[], ["AAPL"], ["*"]]);
    stream.close();
  },
);
