// A broker as it is with real money: requests take their time, sizes count, sales cost fees. The clock stands,
// so that every state on the way can be looked at.
"use strict";

const { assert, topic, inSession, refused, DECIMAL } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const arrive = (desk) => desk.market.advance(1);

async function resting(desk) {
  await desk.market.quote("WMT", 99.99, 100.01, 300);
  const { id } = await desk.limit("buy", "WMT", 90, 2);
  await arrive(desk);
  return desk.reaches(id, "new");
}

check(
  "pending_new",
  "2.5 an order is pending_new until it has arrived, and cannot be replaced",
  async (desk) => {
    const updates = await desk.updates();
    await desk.market.quote("WMT", 99.99, 100.01, 300);
    const { id } = await desk.limit("buy", "WMT", 90, 2);
    assert.equal((await desk.see(id)).status, "pending_new");
    const patch = () =>
      desk.orders.patchOrderByOrderId({ orderId: id, patchOrderRequest: { limitPrice: "91" } });
    await refused(patch, 422, 40010001, /order isn't sent to exchange yet/);
    await arrive(desk);
    await updates.event(id, "new");
    assert.deepEqual(updates.names(id), ["pending_new", "new"]);
    await desk.cancel(id);
    assert.equal((await desk.see(id)).status, "pending_cancel");
    await arrive(desk);
    await desk.reaches(id, "canceled");
  },
);

check("replace", "2.5 a replaced order is pending_replace until the change has arrived", async (desk) => {
  const old = await resting(desk);
  const next = await desk.orders.patchOrderByOrderId({
    orderId: old.id,
    patchOrderRequest: { limitPrice: "91" },
  });
  assert.equal((await desk.see(old.id)).status, "pending_replace");
  await arrive(desk);
  assert.equal((await desk.reaches(old.id, "replaced")).replacedBy, next.id);
  await desk.cancel(next.id);
  await arrive(desk);
});

check("size", "6.2 where paper does not look at sizes, a limit order takes what is shown", async (desk) => {
  await desk.market.quote("WMT", 99.99, 100.01, 300);
  const { id } = await desk.limit("buy", "WMT", 100.01, 500);
  await arrive(desk);
  assert.equal((await desk.reaches(id, "partially_filled")).filledQty, "300");
  await desk.cancel(id);
  await arrive(desk);
  assert.equal((await desk.reaches(id, "canceled")).filledQty, "300");
});

check("fees", "6.6 a sale accrues fees, booked as FEE rows the next day", async (desk) => {
  const { id } = await desk.limit("sell", "WMT", 99.99, 300);
  await arrive(desk);
  await desk.reaches(id, "filled");
  const { accruedFees } = await desk.trading.account.getAccount();
  assert.ok(Number(accruedFees) > 0, accruedFees);
  await desk.market.advanceTo("2026-06-09", "9:40:00");
  const rows = await desk.trading.accountActivities.getAccountActivitiesByActivityType({
    activityType: "FEE",
  });
  for (const row of rows) assert.match(row.netAmount, DECIMAL);
  assert.equal(
    -rows.reduce((sum, row) => sum + Math.round(100 * row.netAmount), 0),
    Math.round(100 * accruedFees),
  );
});
