// Historical bars, against the file that the broker plays.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { TimeFrame, TimeFrameUnit, timeFrame } = require("@alpacahq/alpaca-trade-api");
const { assert, topic, refused } = require("./desk");
const { checks, check } = topic();

const [FIRST, SECOND] = ["2026-06-08", "2026-06-09"];

/** The rows of a data file, as objects by its header. */
function rows(name, symbol) {
  const [header, ...lines] = fs
    .readFileSync(path.join(__dirname, "..", "data", name), "utf8")
    .trim()
    .split("\n");
  const keys = header.split(",");
  const found = lines.map((line) => Object.fromEntries(line.split(",").map((cell, at) => [keys[at], cell])));
  return found.filter((row) => row.symbol === symbol);
}

const start = new Date(`${FIRST}T13:00:00Z`);
const figures = (bar) => [bar.open, bar.high, bar.low, bar.close, bar.volume].map(Number);
const joined = (found) => [
  Number(found[0].open),
  Math.max(...found.map((row) => Number(row.high))),
  Math.min(...found.map((row) => Number(row.low))),
  Number(found.at(-1).close),
  found.reduce((sum, row) => sum + Number(row.volume), 0),
];

check("minutes", "5 minute bars are those of the market, over all pages", async (desk) => {
  await desk.market.advanceTo(SECOND, "10:15:30");
  const found = await desk.data.getStockBars({
    symbols: ["AAPL", "MSFT"],
    timeframe: TimeFrame.Minute,
    start,
    limit: 50,
  });
  for (const symbol of ["AAPL", "MSFT"]) {
    assert.deepEqual(found[symbol].map(figures), rows("bars.csv", symbol).map(figures), symbol);
  }
  assert.ok(found.AAPL.every((bar) => bar.vwap >= bar.low && bar.vwap <= bar.high && bar.tradeCount > 0));
});

check("single", "5 one symbol's bars come by the single endpoint, paged the same", async (desk) => {
  const page = await desk.data.stocks.stockBarSingle({ symbol: "AAPL", timeframe: "1Min", start, limit: 5 });
  assert.deepEqual([page.symbol, page.bars.length, typeof page.nextPageToken], ["AAPL", 5, "string"]);
});

check("timeframes", "5 five minutes, an hour and a day are made of their minutes", async (desk) => {
  const day = rows("bars.csv", "AAPL").filter((row) => row.timestamp.startsWith(FIRST));
  const end = new Date(`${FIRST}T20:00:00Z`);
  const ask = async (timeframe) =>
    (await desk.data.getStockBarsFor("AAPL", { timeframe, start: new Date(FIRST), end })).map(figures);
  const five = await ask(timeFrame(5, TimeFrameUnit.Minute));
  assert.deepEqual(
    five,
    Array.from({ length: 8 }, (_, n) => joined(day.slice(5 * n, 5 * n + 5))),
  );
  assert.deepEqual(await ask(TimeFrame.Hour), [joined(day.slice(0, 30)), joined(day.slice(30))]);
  assert.deepEqual(await ask(TimeFrame.Day), [joined(day)]);
});

check("sort", "5 sort desc brings the newest first", async (desk) => {
  const { bars } = await desk.data.stocks.stockBars({
    symbols: "AAPL",
    timeframe: "1Min",
    start,
    limit: 2,
    sort: "desc",
  });
  assert.deepEqual(
    bars.AAPL.map((bar) => bar.t),
    [`${SECOND}T14:09:00Z`, `${SECOND}T14:08:00Z`],
  );
});

check("empty", "5 no bars is an empty object", async (desk) => {
  const found = await desk.get("/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2026-06-01&end=2026-06-02");
  assert.deepEqual(found, { bars: {}, next_page_token: null });
});

check("bad", "5 a timeframe, feed or start that cannot be is 400 with a message", async (desk) => {
  const ask = (query) => () =>
    desk.data.stocks.stockBars({ symbols: "AAPL", timeframe: "1Min", start, ...query });
  await refused(ask({ timeframe: "60Min" }), 400);
  await refused(ask({ feed: "nyse" }), 400);
  await refused(ask({ pageToken: "nonsense" }), 400);
});

module.exports = { checks, rows, joined, figures };
