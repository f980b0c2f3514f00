// The pattern-day-trader rule as it was until 2026-06-04, for an account of less than 25,000 USD.
"use strict";

const { assert, topic, inSession, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

check("fourth", "6.4 the fourth day trade in five days is 403 40310100", async (desk) => {
  await desk.trading.accountConfigurations.patchAccountConfig({
    accountConfigurations: { pdtCheck: "both" },
  });
  const roundTrip = async (symbol) => {
    await desk.market.quote(symbol, 99.99, 100.01, 10_000);
    await desk.fills(await desk.buy(symbol));
    await desk.fills(await desk.sell(symbol));
  };
  for (const symbol of ["AAPL", "MSFT", "KO"]) await roundTrip(symbol);
  assert.equal((await desk.get("/v2/account")).daytrade_count, 3);
  const says = /trade denied due to pattern day trading protection/;
  await refused(() => roundTrip("F"), 403, 40310100, says);
});
