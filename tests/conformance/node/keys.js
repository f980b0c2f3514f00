// Who is let in. The broker of this suite knows one pair of keys.
"use strict";

const { assert, topic, refused, KEY } = require("./desk");
const { Data } = require("./listen");
const { checks, check } = topic();
module.exports = { checks };

check("right", "1 the right keys are let in", async (desk) => {
  assert.equal((await desk.trading.validateConnection()).ok, true);
});

check("wrong", "2.1 wrong keys are 401 unauthorized., an AuthError without a code", async (desk) => {
  const other = desk.client({ keyId: KEY, secret: "guess" });
  const error = await refused(() => other.trading.account.getAccount(), 401, undefined, /^unauthorized\.$/);
  assert.equal(error.name, "AuthError");
  assert.equal(error.code, undefined);
});

check("wrong_on_data", "2.1 wrong keys on market data are 401 or 403", async (desk) => {
  const other = desk.client({ keyId: KEY, secret: "guess" });
  const call = other.marketData.stocks.stockLatestQuotes({ symbols: "AAPL" });
  await assert.rejects(call, (error) => [401, 403].includes(error.status));
});

check("updates", "3 wrong keys on the trade-update stream end the SDK's attempt", async (desk) => {
  const stream = desk.client({ keyId: KEY, secret: "guess" }).trading.stream({ url: `${desk.ws}/stream` });
  stream.onError(() => {});
  stream.connect();
  const result = await stream.waitForAuthenticationResult(15_000);
  assert.deepEqual([result.authenticated, result.status], [false, "server_rejected"]);
  stream.disconnect();
});

check("data", "4 wrong keys on a data stream are 402 auth failed", async (desk) => {
  const other = desk.client({ keyId: KEY, secret: "guess" });
  const stream = new Data(other.marketData.stockStream({ url: `${desk.ws}/v2/iex` }));
  stream.stream.connect();
  const result = await stream.stream.waitForAuthenticationResult(15_000);
  assert.deepEqual([result.status, result.code, result.message], ["server_rejected", 402, "auth failed"]);
  stream.close();
});

check("no_keys", "3 the event stream is 401 without keys", async (desk) => {
  const answer = await fetch(`${desk.base}/v2/events/trades`);
  assert.equal(answer.status, 401);
  await answer.body.cancel();
});
