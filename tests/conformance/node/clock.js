// Clock and calendar. The clock stands a few minutes before an opening.
"use strict";

const { assert, topic } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

check(
  "clock",
  "2.7 before the opening the market is closed and the opening comes before the close",
  async (desk) => {
    const clock = await desk.trading.clock.legacyClock();
    assert.equal(clock.isOpen, false);
    assert.ok(clock.timestamp < clock.nextOpen && clock.nextOpen < clock.nextClose);
  },
);

check("offset", "2.7 times of the clock have New York's offset", async (desk) => {
  const clock = await desk.get("/v2/clock");
  for (const name of ["timestamp", "next_open", "next_close"]) assert.match(clock[name], /-0[45]:00$/);
});

check(
  "calendar",
  "2.7 the calendar takes whole moments for days, as this SDK sends them, both ends included",
  async (desk) => {
    const days = await desk.trading.calendar.legacyCalendar({
      start: new Date("2025-01-02"),
      end: new Date("2025-01-06"),
    });
    assert.deepEqual(
      days.map((it) => it.date.toISOString().slice(0, 10)),
      ["2025-01-02", "2025-01-03", "2025-01-06"],
    );
    assert.deepEqual(
      [days[0].open, days[0].close, days[0].settlementDate],
      ["09:30", "16:00", days[0].settlementDate],
    );
  },
);

check("early_close", "2.7 an early close is at one, the long day shorter, too", async (desk) => {
  const [day] = await desk.get("/v2/calendar?start=2025-11-28&end=2025-11-28");
  assert.deepEqual([day.open, day.close, day.session_open], ["09:30", "13:00", "0400"]);
});

check("holiday", "2.7 a holiday is not in the calendar", async (desk) => {
  assert.deepEqual(await desk.get("/v2/calendar?start=2026-07-03&end=2026-07-05"), []);
});
