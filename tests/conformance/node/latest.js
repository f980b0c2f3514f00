// The latest trade, quote and bar, and snapshots.
"use strict";

const { assert, topic } = require("./desk");
const { rows, figures } = require("./bars");
const { checks, check } = topic();
module.exports = { checks };

check("price", "5 the SDK's latest price is the last trade's", async (desk) => {
  assert.equal(await desk.data.getLatestPrice("SPY"), Number(rows("trades.csv", "SPY").at(-1).price));
});

check("latest", "5 latest trades, quotes and bars by symbol; unknown ones are absent", async (desk) => {
  const { quotes } = await desk.data.stocks.stockLatestQuotes({ symbols: "SPY,ZZZZ" });
  assert.deepEqual(Object.keys(quotes), ["SPY"]);
  assert.equal(quotes.SPY.bp, Number(rows("quotes.csv", "SPY").at(-1).bid_price));
  const { trades } = await desk.data.stocks.stockLatestTrades({ symbols: "SPY" });
  assert.equal(trades.SPY.s, Number(rows("trades.csv", "SPY").at(-1).size));
  const { bars } = await desk.data.stocks.stockLatestBars({ symbols: "AAPL", feed: "iex" });
  const last = rows("bars.csv", "AAPL").at(-1);
  assert.deepEqual([bars.AAPL.o, bars.AAPL.h, bars.AAPL.l, bars.AAPL.c, bars.AAPL.v], figures(last));
});

check("single", "5 each has an endpoint for one symbol, too", async (desk) => {
  const { stocks } = desk.data;
  assert.equal((await stocks.stockLatestQuoteSingle({ symbol: "SPY" })).symbol, "SPY");
  assert.equal((await stocks.stockLatestTradeSingle({ symbol: "SPY" })).symbol, "SPY");
  assert.equal((await stocks.stockLatestBarSingle({ symbol: "AAPL" })).symbol, "AAPL");
});

check("snapshots", "5 snapshots have symbols at the top level, a single one names its own", async (desk) => {
  const found = await desk.data.stocks.stockSnapshots({ symbols: "SPY,AAPL" });
  assert.deepEqual(Object.keys(found).sort(), ["AAPL", "SPY"]);
  const single = await desk.data.stocks.stockSnapshotSingle({ symbol: "SPY" });
  assert.equal(single.symbol, "SPY");
  assert.equal(single.latestTrade.p, Number(rows("trades.csv", "SPY").at(-1).price));
});
