// Orders before the opening, and the opening.
"use strict";

const { assert, topic, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const DAY = "2026-06-08";
const kept = {};

check(
  "accepted",
  "6.1 an order for the regular session waits as accepted before the opening",
  async (desk) => {
    await desk.market.advanceTo(DAY, "9:25:00");
    await desk.market.quote("AAPL", 199.99, 200.01);
    await desk.market.quote("MSFT", 399.99, 400.01);
    kept.order = await desk.buy("AAPL");
    assert.equal(kept.order.status, "accepted");
  },
);

check("no_replace", "2.5 an accepted order cannot be replaced", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 150);
  const patch = () =>
    desk.orders.patchOrderByOrderId({ orderId: order.id, patchOrderRequest: { limitPrice: "151" } });
  await refused(patch, 422, undefined, /replace order/);
  await desk.cancel(order.id);
  await desk.reaches(order.id, "canceled");
});

check("early", "6.1 a limit order with extended hours works early", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 150, 1, { extendedHours: true });
  assert.equal((await desk.reaches(order.id, "new")).extendedHours, true);
  await desk.cancel(order.id);
});

check("early_market", "2.1 a market order cannot have extended hours: 422 42210000", async (desk) => {
  await refused(
    () => desk.buy("AAPL", 1, { extendedHours: true }),
    422,
    42210000,
    /extended hours order must be DAY/,
  );
});

check("opg", "2.5 OPG orders are taken until 9:28 and refused after it with 403 40310000", async (desk) => {
  kept.opg = await desk.buy("MSFT", 1, { timeInForce: "opg" });
  assert.equal(kept.opg.timeInForce, "opg");
  await desk.market.advanceTo(DAY, "9:28:30");
  const late = () => desk.buy("MSFT", 1, { timeInForce: "opg" });
  await refused(late, 403, 40310000, /opg orders must be submitted after 7:00pm and before 9:28am/);
});

check("opening", "6.1 at the opening what waited becomes new and fills", async (desk) => {
  const updates = await desk.updates();
  await desk.market.advanceTo(DAY, "9:30:05");
  await updates.event(kept.order.id, "fill");
  assert.deepEqual(updates.names(kept.order.id), ["new", "fill"]);
  assert.equal((await desk.fills(kept.opg)).filledAvgPrice, "400.01");
  await desk.market.advanceTo(DAY, "10:00:00");
  assert.equal((await desk.trading.clock.legacyClock()).isOpen, true);
  for (const symbol of ["AAPL", "MSFT"]) await desk.flat(symbol);
});
