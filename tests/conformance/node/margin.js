// Buying power and margin.
"use strict";

const { assert, topic, inSession } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

async function account(desk) {
  const found = await desk.trading.account.getAccount();
  return Object.fromEntries(Object.entries(found).map(([key, value]) => [key, Number(value)]));
}

const near = (found, expected, what) =>
  assert.ok(Math.abs(found - expected) <= 0.01, `${what}: ${found}, not ${expected}`);

async function start(desk) {
  await desk.market.quote("XOM", 109.99, 110.01, 100_000);
  await desk.market.trade("XOM", 110);
}

check("open_buy", "6.3 an open buy holds its limit times its quantity until it is canceled", async (desk) => {
  await start(desk);
  const whole = (await account(desk)).buyingPower;
  const order = await desk.limit("buy", "XOM", 100, 50);
  near(whole - (await account(desk)).buyingPower, 5_000, "held");
  await desk.cancel(order.id);
  await desk.reaches(order.id, "canceled");
  near((await account(desk)).buyingPower, whole, "afterwards");
});

check(
  "long",
  "6.3 a long position has half its value as initial margin, thirty percent as maintenance",
  async (desk) => {
    await desk.hold("XOM", 100);
    const found = await account(desk);
    near(found.initialMargin, found.longMarketValue / 2, "initial margin");
    near(found.maintenanceMargin, 0.3 * found.longMarketValue, "maintenance margin");
    near(found.equity, found.cash + found.longMarketValue, "equity");
    await desk.flat("XOM");
  },
);

check("short", "6.3 a short position's value is negative and counts against equity", async (desk) => {
  await desk.hold("XOM", -100);
  const found = await account(desk);
  near(found.equity, found.cash + found.shortMarketValue, "equity");
  near(found.maintenanceMargin, -0.3 * found.shortMarketValue, "maintenance margin");
  await desk.flat("XOM");
});
