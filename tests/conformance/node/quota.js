// The rate limit. The broker of this suite grants 60 requests a minute of market time, which stands still.
"use strict";

const { withResponse } = require("@alpacahq/alpaca-trade-api");
const { assert, topic, refused } = require("./desk");
const { until } = require("./market");
const { checks, check } = topic();
module.exports = { checks };

const GRANTED = 60;

const clock = (desk) => desk.trading.clock.legacyClock();

check("headers", "2.1 each answer says what is left of the limit", async (desk) => {
  await desk.market.advance(60);
  const first = await withResponse(desk.trading.clock.legacyClockRaw());
  const second = await withResponse(desk.trading.clock.legacyClockRaw());
  assert.equal(first.rateLimit.limit, GRANTED);
  assert.equal(first.rateLimit.remaining - second.rateLimit.remaining, 1);
});

check(
  "exceeded",
  "2.1 beyond it: 429 42910000, a RateLimitError that knows when to come back",
  async (desk) => {
    for (let n = 0; n < GRANTED; n += 1) await desk.http("GET", "/v2/clock");
    const error = await refused(() => clock(desk), 429, 42910000, /rate limit/);
    assert.equal(error.name, "RateLimitError");
    assert.equal(error.rateLimit.remaining, 0);
    assert.ok(error.rateLimit.reset > (await desk.market.now()));
  },
);

check("data", "2.1 market data have a quota of their own", async (desk) => {
  assert.ok(await desk.data.stocks.stockLatestQuotes({ symbols: "AAPL" }));
});

check("retry", "7 the SDK's retry gets through when the quota is back", async (desk) => {
  await refused(() => clock(desk), 429, 42910000);
  const before = (await desk.market.status()).http_429;
  const patient = desk.client({ retry: { maxRetries: 5, retryDelayMs: 20, respectRetryAfter: false } });
  const call = patient.trading.clock.legacyClock();
  await until("a refusal", async () => (await desk.market.status()).http_429 > before);
  await desk.market.advance(60);
  assert.ok((await call).timestamp instanceof Date);
});
