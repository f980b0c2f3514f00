// Historical trades, quotes and auctions.
"use strict";

const { assert, topic } = require("./desk");
const { rows } = require("./bars");
const { checks, check } = topic();
module.exports = { checks };

const start = new Date("2026-06-08T13:00:00Z");

check("trades", "5 trades are those of the market, to the nanosecond, over all pages", async (desk) => {
  const found = await desk.data.getStockTradesFor("SPY", { start, limit: 5 });
  const expected = rows("trades.csv", "SPY");
  assert.deepEqual(
    found.map((it) => [it.price, it.size]),
    expected.map((row) => [Number(row.price), Number(row.size)]),
  );
  assert.deepEqual(
    found.map((it) => it.timestampRaw),
    expected.map((row) => row.timestamp),
  );
});

check("quotes", "5 quotes are those of the market", async (desk) => {
  const found = await desk.data.getStockQuotesFor("SPY", { start, limit: 5 });
  const expected = rows("quotes.csv", "SPY");
  assert.deepEqual(
    found.map((it) => [it.bidPrice, it.bidSize, it.askPrice, it.askSize]),
    expected.map((row) => [row.bid_price, row.bid_size, row.ask_price, row.ask_size].map(Number)),
  );
});

check("auctions", "5 auctions answer an object by symbol", async (desk) => {
  const found = await desk.data.stocks.stockAuctions({ symbols: "SPY", start });
  assert.equal(typeof found.auctions, "object");
});

check("meta", "5 exchanges and conditions have names", async (desk) => {
  const exchanges = await desk.data.stocks.stockMetaExchanges();
  assert.equal(typeof exchanges.V, "string");
  const conditions = await desk.data.stocks.stockMetaConditions({ ticktype: "trade", tape: "A" });
  assert.ok(Object.keys(conditions).length > 0);
});
