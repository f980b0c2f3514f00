// The table of refusals: status, code and words.
"use strict";

const { assert, topic, inSession, refused, fresh } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const PARAMETER = 40010001;
const RULE = 42210000;
const FORBIDDEN = 40310000;

/** A good market order with some fields changed is refused. */
const bad = (desk, says, changes, code = PARAMETER) => {
  const fields = { symbol: "AAPL", qty: "1", side: "buy", type: "market", timeInForce: "day", ...changes };
  return refused(() => desk.post(fields), 422, code, says);
};

check("amount", "2.1 exactly one amount, above zero", async (desk) => {
  await bad(desk, /qty or notional is required/, { qty: undefined });
  await bad(desk, /only one of qty or notional is accepted/, { notional: "100" });
  await bad(desk, /qty must be > 0/, { qty: "0" });
});

check("words", "2.1 unknown type, side and time in force", async (desk) => {
  await bad(desk, /invalid order type/, { type: "best" });
  await bad(desk, /invalid side/, { side: "hold" });
  await bad(desk, /invalid time_in_force/, { timeInForce: "forever" });
});

check("prices", "2.1 prices that a type needs or must not have", async (desk) => {
  await bad(desk, /limit orders require a limit price/, { type: "limit" });
  await bad(desk, /stop orders require a stop price/, { type: "stop" });
  await bad(desk, /stop limit orders require both stop and limit price/, {
    type: "stop_limit",
    limitPrice: "1",
  });
  await bad(desk, /market orders require no stop or limit price/, { stopPrice: "200" });
  await bad(desk, /must specify one of trail_price or trail_percent/, {
    type: "trailing_stop",
    side: "sell",
  });
});

check("trail", "2.1 trail_percent is at least 0.1", async (desk) => {
  await bad(desk, /trail_percent must be greater than or equal to 0.1/, {
    type: "trailing_stop",
    side: "sell",
    trailPercent: "0.05",
  });
});

check(
  "client_id",
  "2.1 a client order id is unique for ever and has at most 128 characters",
  async (desk) => {
    const clientOrderId = fresh();
    const order = await desk.limit("buy", "AAPL", 150, 1, { clientOrderId });
    await desk.cancel(order.id);
    await desk.reaches(order.id, "canceled");
    const again = () => desk.limit("buy", "AAPL", 150, 1, { clientOrderId });
    await refused(again, 422, [PARAMETER, RULE], /client_order_id must be unique/);
    await bad(desk, /client_order_id must be no more than 128 characters/, {
      clientOrderId: "x".repeat(129),
    });
  },
);

check("symbol", '2.1 an unknown symbol: asset "ZZZZ" not found', async (desk) => {
  await bad(desk, /asset "ZZZZ" not found/, { symbol: "ZZZZ" }, RULE);
});

check("sub_penny", "2.1 two decimals from a dollar on, four below", async (desk) => {
  const says = /invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria/;
  await refused(() => desk.limit("buy", "AAPL", 290.123), 422, RULE, says);
  const order = await desk.limit("buy", "F", "0.1234");
  assert.equal(order.limitPrice, "0.1234");
  await desk.cancel(order.id);
});

check("fractions", "2.1 fractions are simple DAY orders", async (desk) => {
  await refused(
    () => desk.buy("AAPL", 0.5, { timeInForce: "gtc" }),
    422,
    RULE,
    /fractional orders must be DAY orders/,
  );
  await bad(
    desk,
    /fractional orders must be simple orders/,
    {
      qty: "0.5",
      orderClass: "bracket",
      takeProfit: { limitPrice: "220" },
      stopLoss: { stopPrice: "180" },
    },
    RULE,
  );
});

check("buying_power", "2.1 too dear: 403 40310000 with both figures, a PermissionError", async (desk) => {
  const error = await refused(
    () => desk.limit("buy", "AAPL", 200, 1_000_000),
    403,
    FORBIDDEN,
    /insufficient buying power/,
  );
  assert.equal(error.name, "PermissionError");
  const body = await error.response
    .clone()
    .json()
    .catch(() => undefined);
  if (body) assert.deepEqual([typeof body.buying_power, Number(body.cost_basis)], ["string", 200_000_000]);
});

check("held", "2.1 shares that orders hold: insufficient qty available, with numbers", async (desk) => {
  await desk.market.quote("XOM", 109.99, 110.01);
  await desk.hold("XOM", 10);
  await desk.limit("sell", "XOM", 130, 10);
  const says = /insufficient qty available for order \(requested: 6, available: 0\)/;
  await refused(() => desk.limit("sell", "XOM", 131, 6), 403, FORBIDDEN, says);
  await desk.flat("XOM");
});

check("wash", "6.5 crossing opposite limits are a wash trade, others are not", async (desk) => {
  await desk.hold("XOM", 10);
  await desk.limit("sell", "XOM", 115);
  await refused(() => desk.limit("buy", "XOM", 115), 403, FORBIDDEN, /potential wash trade detected/);
  await refused(() => desk.buy("XOM"), 403, FORBIDDEN, /potential wash trade detected/);
  await desk.reaches((await desk.limit("buy", "XOM", 105)).id, "new");
  await desk.flat("XOM");
});

check(
  "short",
  "2.1 flat with a resting buy no short is opened, with a resting short no buy",
  async (desk) => {
    await desk.limit("buy", "XOM", 100);
    await refused(
      () => desk.limit("sell", "XOM", 120),
      403,
      FORBIDDEN,
      /cannot open a short sell while a long buy order/,
    );
    await desk.flat("XOM");
    await desk.limit("sell", "XOM", 120);
    await refused(
      () => desk.limit("buy", "XOM", 100),
      403,
      FORBIDDEN,
      /cannot open a long buy while a short sell order/,
    );
    await desk.flat("XOM");
  },
);

check("suspended", "2.1 with suspend_trade new orders are 403", async (desk) => {
  const configure = (suspendTrade) =>
    desk.trading.accountConfigurations.patchAccountConfig({ accountConfigurations: { suspendTrade } });
  await configure(true);
  try {
    await refused(() => desk.buy("AAPL"), 403, FORBIDDEN);
  } finally {
    await configure(false);
  }
});

check("nonsense", "2.1 what is no JSON or absurd is a 4xx with a message", async (desk) => {
  for (const body of [
    "{",
    "[]",
    "42",
    '{"qty":1e400}',
    '{"symbol":"AAPL","qty":"NaN"}',
    "x".repeat(1_000_000),
  ]) {
    const answer = await desk.http("POST", "/v2/orders", body, { "Content-Type": "application/json" });
    assert.ok(answer.status >= 400 && answer.status < 500, `${body.slice(0, 40)}: ${answer.status}`);
    assert.ok(answer.json.message, answer.text);
  }
});

check(
  "unknown",
  "2.1 an order that does not exist is 404, a path id that is no UUID 422 order_id is missing",
  async (desk) => {
    const nobody = "904837e3-3b76-47ec-b432-046db621571b";
    await refused(() => desk.see(nobody), 404, 40410000, new RegExp(`order not found for ${nobody}`));
    await refused(() => desk.see("nonsense"), 422, PARAMETER, /order_id is missing/);
  },
);
