// An account of less than 2,000 USD: no margin, no shorts.
"use strict";

const { assert, topic, inSession, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

check(
  "no_margin",
  "6.3 below 2,000 USD of equity: multiplier 1, no short sales, nothing beyond the cash",
  async (desk) => {
    const account = await desk.trading.account.getAccount();
    assert.deepEqual(
      [account.multiplier, Number(account.buyingPower), account.shortingEnabled],
      ["1", 1500, false],
    );
    await desk.market.quote("KO", 69.99, 70.01);
    await refused(() => desk.sell("KO"), 403, 40310000);
    await refused(() => desk.limit("buy", "KO", 70, 22), 403, 40310000, /insufficient buying power/);
  },
);
