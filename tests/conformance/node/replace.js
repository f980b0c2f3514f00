// PATCH of an order.
"use strict";

const { assert, topic, inSession, refused, fresh } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const change = (desk, order, patchOrderRequest) =>
  desk.orders.patchOrderByOrderId({ orderId: order.id, patchOrderRequest });

async function resting(desk, more) {
  await desk.market.quote("WMT", 119.99, 120.01, 10_000);
  const order = await desk.limit("buy", "WMT", 100, 2, more);
  return desk.reaches(order.id, "new");
}

check("price", "2.5 a new order replaces the old one and both point at each other", async (desk) => {
  const old = await resting(desk);
  const order = await change(desk, old, { limitPrice: "101" });
  assert.deepEqual([order.replaces, order.limitPrice], [old.id, "101"]);
  assert.equal((await desk.reaches(old.id, "replaced")).replacedBy, order.id);
  await desk.cancel((await desk.reaches(order.id, "new")).id);
});

check("several", "2.5 qty, time in force and client order id change together", async (desk) => {
  const clientOrderId = fresh();
  const order = await change(desk, await resting(desk), { qty: "5", timeInForce: "gtc", clientOrderId });
  assert.deepEqual([order.qty, order.timeInForce, order.clientOrderId], ["5", "gtc", clientOrderId]);
  await desk.cancel((await desk.reaches(order.id, "new")).id);
});

check("unchanged", "2.1 nothing changed: 422 42210000 order parameters are not changed", async (desk) => {
  const order = await resting(desk);
  await refused(
    () => change(desk, order, { limitPrice: "100" }),
    422,
    42210000,
    /order parameters are not changed/,
  );
  await desk.cancel(order.id);
});

check("ended", "2.1 an order that ended or was replaced cannot be replaced", async (desk) => {
  const order = await resting(desk);
  const next = await change(desk, order, { limitPrice: "101" });
  await desk.reaches(order.id, "replaced");
  await refused(() => change(desk, order, { limitPrice: "102" }), 422, undefined, /replace/);
  await desk.cancel((await desk.reaches(next.id, "new")).id);
  await desk.reaches(next.id, "canceled");
  await refused(() => change(desk, next, { limitPrice: "103" }), 422, undefined, /replace/);
});

check("unknown", "2.1 replacing what does not exist is 404 40410000", async (desk) => {
  const nobody = { id: "904837e3-3b76-47ec-b432-046db621571b" };
  await refused(() => change(desk, nobody, { qty: "2" }), 404, 40410000, /order not found/);
});

check("bad_price", "2.1 a replacement's price obeys the tick", async (desk) => {
  const order = await resting(desk);
  await refused(() => change(desk, order, { limitPrice: "100.123" }), 422, 42210000, /sub-penny/);
  await desk.cancel(order.id);
});
