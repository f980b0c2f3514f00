// Activities.
"use strict";

const { assert, topic, inSession, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const kept = {};

check("fills", "2.3 an execution is a FILL row that names price, qty, side and order", async (desk) => {
  await desk.market.quote("PEP", 139.99, 140.01, 10_000);
  await desk.flat("PEP");
  const order = await desk.fills(await desk.buy("PEP"));
  await desk.fills(await desk.sell("PEP"));
  const rows = await desk.trading.accountActivities.getAccountActivities({ activityTypes: ["FILL"] });
  const row = rows.find((it) => it.orderId === order.id);
  assert.deepEqual(
    [row.price, row.qty, row.side, row.cumQty, row.leavesQty],
    ["140.01", "1", "buy", "1", "0"],
  );
  assert.match(row.id, /^\d{17}::[0-9a-f-]{36}$/);
  assert.ok(row.transactionTime instanceof Date);
  kept.rows = rows;
});

check("pages", "2.3 the SDK pages by the last row's id and gets every row once", async (desk) => {
  const rows = await desk.trading.collectActivities({ activityTypes: ["FILL"], pageSize: 3 });
  assert.ok(rows.length >= kept.rows.length);
  assert.equal(new Set(rows.map((it) => it.id)).size, rows.length);
});

check("by_type", "2.3 the type can stand in the path; direction asc turns the rows round", async (desk) => {
  const ask = (direction) =>
    desk.trading.accountActivities.getAccountActivitiesByActivityType({
      activityType: "FILL",
      direction,
      pageSize: 100,
    });
  const [up, down] = [await ask("asc"), await ask("desc")];
  assert.equal(down[0].id, kept.rows[0].id);
  assert.ok(up[0].id < up.at(-1).id, `${up[0].id} and ${up.at(-1).id}`);
});

check("dates", "2.3 date, after and until take whole moments, as this SDK sends them", async (desk) => {
  const ask = (query) =>
    desk.trading.accountActivities.getAccountActivities({ activityTypes: ["FILL"], ...query });
  assert.deepEqual(await ask({ date: new Date("2026-06-05") }), []);
  assert.ok((await ask({ date: new Date("2026-06-08") })).length > 0);
  assert.deepEqual(await ask({ until: new Date("2026-06-08T13:00:00Z") }), []);
});

check("bad", "2.1 category does not go with types, pages have at most a hundred rows: 422", async (desk) => {
  const ask = (query) => () => desk.trading.accountActivities.getAccountActivities(query);
  await refused(ask({ category: "trade_activity", activityTypes: ["FILL"] }), 422);
  await refused(ask({ pageSize: 101 }), 422);
});
