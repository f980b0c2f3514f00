// Orders by type, amount and time in force, while the market is open.
"use strict";

const { assert, topic, inSession, refused, fresh, UUID } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

check("market", "2.5 a market order fills at the offer, a sell at the bid", async (desk) => {
  await desk.market.quote("AAPL", 199.99, 200.01);
  const bought = await desk.fills(await desk.buy("AAPL"));
  assert.deepEqual([bought.type, bought.filledQty, bought.filledAvgPrice], ["market", "1", "200.01"]);
  assert.ok(bought.filledAt instanceof Date);
  const sold = await desk.fills(await desk.sell("AAPL"));
  assert.equal(sold.filledAvgPrice, "199.99");
});

check("shape", "2.5 an order has its ids, its asset and its amounts as strings", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 150.5, 2);
  assert.match(order.id, UUID);
  assert.match(order.clientOrderId, UUID);
  assert.deepEqual([order.qty, order.limitPrice, order.filledQty, order.symbol], ["2", "150.5", "0", "AAPL"]);
  assert.equal(order.assetId, (await desk.get("/v2/assets/AAPL")).id);
  await desk.cancel(order.id);
});

check("limit", "2.5 a limit order rests as new until the offer comes down", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 199.5);
  await desk.reaches(order.id, "new");
  await desk.market.quote("AAPL", 199.48, 199.5);
  assert.equal((await desk.fills(order)).filledAvgPrice, "199.5");
  await desk.market.quote("AAPL", 199.99, 200.01);
});

check("stop", "6.2 a stop is elected by a trade at its price", async (desk) => {
  const order = await desk.orders.stop({ symbol: "AAPL", qty: 1, side: "sell", stopPrice: 199 });
  assert.equal((await desk.reaches(order.id, "new")).stopPrice, "199");
  await desk.market.quote("AAPL", 198.9, 198.92);
  await desk.market.trade("AAPL", 198.91);
  assert.equal((await desk.fills(order)).filledAvgPrice, "198.9");
  await desk.market.quote("AAPL", 199.99, 200.01);
});

check("stop_limit", "2.5 an elected stop limit rests at its limit", async (desk) => {
  const order = await desk.orders.stopLimit({
    symbol: "AAPL",
    qty: 1,
    side: "buy",
    stopPrice: 201,
    limitPrice: 201,
  });
  await desk.reaches(order.id, "new");
  await desk.market.quote("AAPL", 201.49, 201.51);
  await desk.market.trade("AAPL", 201.5);
  assert.equal((await desk.see(order.id)).status, "new");
  await desk.market.quote("AAPL", 200.98, 201);
  assert.equal((await desk.fills(order)).filledAvgPrice, "201");
  await desk.market.quote("AAPL", 199.99, 200.01);
  await desk.flat("AAPL");
});

check(
  "trailing",
  "2.5 a trailing stop follows the high-water mark and sells on the way back",
  async (desk) => {
    await desk.market.quote("NVDA", 149.99, 150.01);
    await desk.market.trade("NVDA", 150);
    await desk.hold("NVDA", 1);
    const order = await desk.orders.trailingStop({
      symbol: "NVDA",
      qty: 1,
      side: "sell",
      trailPercent: 2,
      timeInForce: "gtc",
    });
    assert.equal(order.trailPercent, "2");
    await desk.reaches(order.id, "new");
    await desk.market.quote("NVDA", 159.99, 160.01);
    await desk.market.trade("NVDA", 160);
    const moved = await desk.see(order.id);
    assert.deepEqual([moved.hwm, moved.stopPrice], ["160", "156.8"]);
    await desk.market.quote("NVDA", 156.78, 156.8);
    await desk.market.trade("NVDA", 156.79);
    assert.equal((await desk.fills(order)).filledAvgPrice, "156.78");
  },
);

check("notional", "2.5 an order by notional has no qty; filled_qty says what it bought", async (desk) => {
  await desk.market.quote("MSFT", 399.99, 400);
  const order = await desk.orders.market({ symbol: "MSFT", notional: 100.5, side: "buy" });
  assert.equal(order.notional, "100.5");
  assert.equal(order.qty ?? null, null);
  assert.equal((await desk.fills(order)).filledQty, "0.25125");
  await desk.flat("MSFT");
});

check("fraction", "2.5 nine decimals of a share are kept exactly, sent as a string", async (desk) => {
  const order = await desk.fills(await desk.buy("MSFT", "0.123456789"));
  assert.equal(order.filledQty, "0.123456789");
  await desk.flat("MSFT");
});

check("ioc_fok", "2.5 IOC and FOK that find nothing end as canceled", async (desk) => {
  for (const timeInForce of ["ioc", "fok"]) {
    const order = await desk.limit("buy", "AAPL", 150, 2, { timeInForce });
    assert.equal((await desk.reaches(order.id, "canceled")).filledQty, "0");
  }
});

check("gtc", "6.1 a GTC order ends by itself ninety days on", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 150, 1, { timeInForce: "gtc" });
  const days = (order.expiresAt - order.createdAt) / 86_400_000;
  assert.ok(days > 88 && days < 92, String(order.expiresAt));
  await desk.cancel(order.id);
});

check("client_id", "2.5 an order is found by its client order id", async (desk) => {
  const clientOrderId = fresh();
  const order = await desk.limit("buy", "AAPL", 150, 1, { clientOrderId });
  assert.equal((await desk.orders.getOrderByClientOrderId({ clientOrderId })).id, order.id);
  await desk.cancel(order.id);
});

check(
  "submit_and_wait",
  "3 submit and wait: the SDK listens, places, and sees the end on the stream",
  async (desk) => {
    const updates = await desk.updates();
    desk.closeUpdates();
    const stream = desk.trading.stream({ url: `${desk.ws}/stream` });
    stream.connect();
    const input = { type: "market", symbol: "AAPL", qty: 1, side: "buy", clientOrderId: fresh() };
    const order = await desk.trading.submitAndWait(input, { stream, timeoutMs: 15_000 });
    stream.disconnect();
    assert.ok(updates && order.status === "filled", order.status);
    await desk.flat("AAPL");
  },
);

check(
  "list",
  "2.5 the list is of open orders, newest first, and filtered by symbol, side, limit and direction",
  async (desk) => {
    await desk.orders.deleteAllOrders();
    const made = [];
    for (const symbol of ["AAPL", "MSFT", "KO"]) {
      made.push((await desk.limit("buy", symbol, 10)).id);
      await desk.market.advance(1);
    }
    const ids = async (query) => (await desk.orders.getAllOrders(query)).map((it) => it.id);
    assert.deepEqual(await ids(), [...made].reverse());
    assert.deepEqual(await ids({ direction: "asc", limit: 2 }), made.slice(0, 2));
    assert.deepEqual(await ids({ symbols: ["MSFT", "KO"] }), [made[2], made[1]]);
    assert.deepEqual(await ids({ side: "sell" }), []);
    assert.deepEqual(await ids({ beforeOrderId: made[1] }), [made[0]]);
  },
);

check("cancel_all", "2.5 DELETE of all orders answers 207 with a status for each", async (desk) => {
  const answers = await desk.orders.deleteAllOrders();
  assert.deepEqual(
    answers.map((it) => it.status),
    [200, 200, 200],
  );
  for (const { id } of answers) await desk.reaches(id, "canceled");
  assert.equal((await desk.http("DELETE", "/v2/orders")).status, 207);
});

check(
  "cancel",
  "2.5 a canceled order says when; a filled one cannot be canceled: 422 42210000",
  async (desk) => {
    const order = await desk.limit("buy", "AAPL", 150);
    await desk.cancel(order.id);
    assert.ok((await desk.reaches(order.id, "canceled")).canceledAt instanceof Date);
    const filled = await desk.fills(await desk.buy("AAPL"));
    await refused(() => desk.cancel(filled.id), 422, 42210000, /order is already in "filled" state/);
    await desk.flat("AAPL");
  },
);
