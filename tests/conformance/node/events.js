// What the exchange may do with a resting order by itself, in the orders and on the stream.
"use strict";

const { assert, topic, inSession } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

/** An order to which this happened. */
async function happens(desk, event) {
  const updates = await desk.updates();
  const { id } = await desk.limit("buy", "XOM", 50);
  await desk.reaches(id, "new");
  await desk.market.orderEvent(id, event);
  assert.equal((await updates.event(id, event)).order.status, event);
  return desk.see(id);
}

check("rejected", "2.5 an order may be rejected after it was accepted, with failed_at", async (desk) => {
  assert.ok((await happens(desk, "rejected")).failedAt instanceof Date);
});

check("rare", "2.5 done_for_day, stopped, suspended and calculated are told and shown", async (desk) => {
  for (const event of ["done_for_day", "stopped", "suspended", "calculated"]) {
    assert.equal((await happens(desk, event)).status, event);
  }
});
