// GET /v2/orders: status, times and nested legs.
"use strict";

const { assert, topic, inSession } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

check("closed", "2.5 closed are those that ended, all is everything", async (desk) => {
  const order = await desk.limit("buy", "KO", 10);
  await desk.cancel(order.id);
  await desk.reaches(order.id, "canceled");
  const [newest] = await desk.orders.getAllOrders({ status: "closed", symbols: "KO", limit: 1 });
  assert.deepEqual([newest.id, newest.status], [order.id, "canceled"]);
  const all = await desk.orders.getAllOrders({ status: "all", limit: 500 });
  assert.ok(all.some((it) => it.id === order.id));
});

check("times", "2.5 after and until are exclusive, to the nanosecond", async (desk) => {
  const made = [];
  for (let n = 0; n < 3; n += 1) {
    made.push(
      (
        await desk.http("POST", "/v2/orders", {
          symbol: "KO",
          qty: "1",
          side: "buy",
          type: "limit",
          limit_price: "10",
          time_in_force: "day",
        })
      ).json,
    );
    await desk.market.advance(1);
  }
  const found = await desk.orders.getAllOrders({ after: made[0].submitted_at, until: made[2].submitted_at });
  assert.deepEqual(
    found.map((it) => it.id),
    [made[1].id],
  );
  await desk.orders.deleteAllOrders();
});

check("nested", "2.5 nested shows legs inside their parent only", async (desk) => {
  const order = await desk.orders.oto({
    symbol: "KO",
    qty: 1,
    side: "buy",
    limitPrice: 50,
    takeProfit: { limitPrice: 90 },
  });
  const nested = await desk.orders.getAllOrders({ nested: true });
  assert.deepEqual(
    nested.map((it) => it.id),
    [order.id],
  );
  assert.deepEqual(
    nested[0].legs.map((it) => it.id),
    [order.legs[0].id],
  );
  const rows = await desk.orders.getAllOrders({ nested: false, status: "all", limit: 2 });
  assert.deepEqual(rows.map((it) => it.id).sort(), [order.id, order.legs[0].id].sort());
  await desk.cancel(order.id);
});
