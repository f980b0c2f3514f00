// Portfolio history, on the second day.
"use strict";

const { assert, topic, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const ask = (desk, query) => desk.trading.portfolioHistory.getAccountPortfolioHistory(query);

check("shape", "2.4 four arrays of one length, in numbers", async (desk) => {
  const found = await ask(desk, { period: "1D", timeframe: "5Min" });
  const lengths = [found.timestamp, found.equity, found.profitLoss, found.profitLossPct].map(
    (it) => it.length,
  );
  assert.ok(lengths[0] > 0 && new Set(lengths).size === 1, String(lengths));
  assert.ok(found.equity.every((it) => typeof it === "number"));
  assert.equal(found.timeframe, "5Min");
});

check("month", "2.4 a month comes by the day", async (desk) => {
  assert.equal((await ask(desk, {})).timeframe, "1D");
});

check("bounds", "2.4 start and end bound it; with a period besides they are too many: 422", async (desk) => {
  const [start, end] = [new Date("2026-06-08T15:00:00Z"), new Date("2026-06-08T17:00:00Z")];
  const found = await ask(desk, { start, end, timeframe: "15Min" });
  assert.ok(found.timestamp.every((it) => it * 1000 >= start && it * 1000 <= end));
  await refused(() => ask(desk, { start, end, period: "1D" }), 422);
});
