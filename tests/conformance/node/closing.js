// The close and the night.
"use strict";

const { assert, topic, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const TODAY = "2026-06-08";
const kept = {};

check("cls", "2.5 CLS orders are taken until 3:50pm and refused after it with 403 40310000", async (desk) => {
  await desk.market.advanceTo(TODAY, "15:45:00");
  await desk.market.quote("HD", 349.99, 350.01, 10_000);
  await desk.flat("HD");
  kept.cls = await desk.buy("HD", 1, { timeInForce: "cls" });
  await desk.market.advanceTo(TODAY, "15:56:00");
  await refused(
    () => desk.buy("HD", 1, { timeInForce: "cls" }),
    403,
    40310000,
    /cls orders must be submitted/,
  );
});

check("close", "6.1 the close fills CLS orders and ends DAY orders; GTC orders live on", async (desk) => {
  const updates = await desk.updates();
  const day = await desk.limit("buy", "HD", 200);
  const gtc = await desk.limit("buy", "HD", 200, 1, { timeInForce: "gtc" });
  await desk.market.quote("HD", 351.99, 352.01, 10_000);
  await desk.market.advanceTo(TODAY, "16:00:10");
  assert.equal((await desk.fills(kept.cls)).filledAvgPrice, "352.01");
  await desk.reaches(day.id, "expired");
  await updates.event(day.id, "expired");
  assert.equal((await desk.see(gtc.id)).status, "new");
  kept.equity = (await desk.trading.account.getAccount()).equity;
});

check("queued", "6.1 after the close an order waits as accepted for the next opening", async (desk) => {
  const order = await desk.limit("buy", "HD", 200);
  assert.equal(order.status, "accepted");
  await desk.market.advanceTo("2026-06-09", "9:30:10");
  await desk.reaches(order.id, "new");
  await desk.orders.deleteAllOrders();
});

check("last_equity", "2.2 last_equity is yesterday's equity at four", async (desk) => {
  assert.equal((await desk.trading.account.getAccount()).lastEquity, kept.equity);
});
