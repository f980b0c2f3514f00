// The account and its configuration, and what every answer carries.
"use strict";

const { withResponse } = require("@alpacahq/alpaca-trade-api");
const { assert, topic, refused, DECIMAL, STAMP } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const configure = (desk, accountConfigurations) =>
  desk.trading.accountConfigurations.patchAccountConfig({ accountConfigurations });

check(
  "model",
  "2.2 the account is active, in dollars, and amounts stay strings in the SDK's model",
  async (desk) => {
    const account = await desk.trading.account.getAccount();
    assert.equal(account.status, "ACTIVE");
    assert.equal(account.currency, "USD");
    for (const name of ["cash", "equity", "buyingPower", "longMarketValue", "sma"])
      assert.match(account[name], DECIMAL);
    assert.ok(account.createdAt instanceof Date && !Number.isNaN(account.createdAt.getTime()));
  },
);

check("probe", "1 good keys pass the SDK's own check of the connection", async (desk) => {
  const found = await desk.trading.validateConnection();
  assert.equal(found.ok, true, found.message);
});

check("wire", "2.2 balance_asof is a date, created_at RFC 3339, option levels integers", async (desk) => {
  const account = await desk.get("/v2/account");
  assert.match(account.balance_asof, /^\d{4}-\d\d-\d\d$/);
  assert.match(account.created_at, STAMP);
  assert.ok(Number.isInteger(account.options_trading_level));
});

check("equity", "2.2 equity is cash and both market values", async (desk) => {
  const account = await desk.get("/v2/account");
  const sum = Number(account.cash) + Number(account.long_market_value) + Number(account.short_market_value);
  assert.equal(Number(account.equity), sum);
});

check("response", "2.1 a good answer shows X-Request-ID and the rate limit to the SDK", async (desk) => {
  const found = await withResponse(desk.trading.account.getAccountRaw());
  assert.equal(found.status, 200);
  assert.match(found.headers.get("X-Request-ID"), /^[0-9a-f]{32}$/);
  assert.ok(found.rateLimit.limit > 0 && found.rateLimit.remaining < found.rateLimit.limit);
  assert.ok(found.rateLimit.reset instanceof Date);
});

check("configuration", "2.2 the configuration has its documented keys", async (desk) => {
  const found = await desk.get("/v2/account/configurations");
  const expected = {
    suspend_trade: "boolean",
    no_shorting: "boolean",
    fractional_trading: "boolean",
    max_margin_multiplier: "string",
    ptp_no_exception_entry: "boolean",
    disable_overnight_trading: "boolean",
    trade_confirm_email: "string",
  };
  for (const [key, type] of Object.entries(expected)) assert.equal(typeof found[key], type, key);
});

check("configure", "2.2 PATCH of one key changes it alone and answers the whole", async (desk) => {
  const before = await desk.trading.accountConfigurations.getAccountConfig();
  const changed = await configure(desk, { noShorting: true });
  assert.equal(changed.noShorting, true);
  assert.equal(changed.maxMarginMultiplier, before.maxMarginMultiplier);
  assert.equal((await configure(desk, { noShorting: false })).noShorting, false);
});

check(
  "bad_configuration",
  "2.1 a value that does not exist is 422 40010001, a ValidationError",
  async (desk) => {
    const error = await refused(() => configure(desk, { maxMarginMultiplier: "3" }), 422, 40010001);
    assert.equal(error.name, "ValidationError");
  },
);

check("error", "2.1 an error carries status, code, message and the request's id", async (desk) => {
  const error = await refused(() => desk.see("904837e3-3b76-47ec-b432-046db621571b"), 404, 40410000);
  assert.equal(error.name, "NotFoundError");
  assert.match(error.requestId, /^[0-9a-f]{32}$/);
});

check("no_endpoint", "2.1 what does not exist is 404 40410000 endpoint not found", async (desk) => {
  const call = () => desk.trading.cryptoFunding.listWhitelistedAddress();
  assert.equal((await refused(call, 404, 40410000)).message, "endpoint not found");
});
