// Positions.
"use strict";

const { assert, topic, inSession, refused, DECIMAL } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

const close = (desk, symbolOrAssetId, more = {}) =>
  desk.trading.positions.deleteOpenPosition({ symbolOrAssetId, ...more });

async function start(desk, qty, symbol = "INTC", price = 40) {
  await desk.market.quote(symbol, price - 0.01, price + 0.01, 100_000);
  await desk.market.trade(symbol, price);
  await desk.hold(symbol, qty);
}

check("long", "2.6 a long position and its figures, all strings", async (desk) => {
  await start(desk, 100);
  const position = await desk.trading.positions.getOpenPosition({ symbolOrAssetId: "INTC" });
  assert.deepEqual([position.side, position.qty, position.avgEntryPrice], ["long", "100", "40.01"]);
  for (const name of [
    "marketValue",
    "costBasis",
    "unrealizedPl",
    "unrealizedPlpc",
    "currentPrice",
    "qtyAvailable",
  ]) {
    assert.match(position[name], DECIMAL);
  }
});

check("gain", "2.6 the gain is value less cost, its percentage a fraction", async (desk) => {
  await desk.market.quote("INTC", 43.99, 44.01, 100_000);
  await desk.market.trade("INTC", 44);
  const position = await desk.position("INTC");
  assert.deepEqual([Number(position.market_value), Number(position.unrealized_pl)], [4400, 399]);
  assert.ok(Math.abs(Number(position.unrealized_plpc) - 399 / 4001) < 1e-6);
});

check("close_part", "2.6 a part is closed by qty and by percentage", async (desk) => {
  const order = await close(desk, "INTC", { qty: 25 });
  assert.deepEqual([order.type, order.side, order.qty], ["market", "sell", "25"]);
  await desk.fills(order);
  const other = await close(desk, "INTC", { percentage: 40 });
  assert.equal(other.qty, "30");
  await desk.fills(other);
  assert.equal((await desk.position("INTC")).qty, "45");
});

check("held", "2.1 shares that orders hold cannot be closed: 403 40310000", async (desk) => {
  const order = await desk.limit("sell", "INTC", 60, 45);
  await refused(() => close(desk, "INTC"), 403, 40310000, /insufficient qty available/);
  await desk.cancel(order.id);
  await desk.reaches(order.id, "canceled");
});

check("close", "2.6 a closed position is 404 position does not exist", async (desk) => {
  await desk.fills(await close(desk, "INTC"));
  const look = () => desk.trading.positions.getOpenPosition({ symbolOrAssetId: "INTC" });
  await refused(look, 404, 40410000, /position does not exist/);
});

check("short", "2.6 a short has negative qty and value and gains when prices fall", async (desk) => {
  await start(desk, -10);
  await desk.market.quote("INTC", 37.98, 38, 100_000);
  await desk.market.trade("INTC", 38);
  const position = await desk.position("INTC");
  assert.deepEqual([position.side, position.qty, Number(position.market_value)], ["short", "-10", -380]);
  assert.equal(Number(position.unrealized_pl), 19.9);
  assert.equal((await desk.fills(await close(desk, "INTC"))).side, "buy");
});

check("close_all", "2.6 closing everything is 207 with an order for each position", async (desk) => {
  await start(desk, 5);
  await desk.limit("sell", "INTC", 60, 5);
  await start(desk, 5, "T", 20);
  const answers = await desk.trading.closeAllPositions({ cancelOrders: true });
  const found = answers.filter((it) => ["INTC", "T"].includes(it.symbol));
  assert.deepEqual(
    found.map((it) => it.status),
    [200, 200],
  );
  for (const { body } of answers) await desk.fills(body);
  assert.deepEqual(await desk.trading.positions.getAllOpenPositions(), []);
});

check(
  "close_all_held",
  "2.6 a position whose shares are held fails alone, with its error in the 207",
  async (desk) => {
    await start(desk, 5);
    await desk.limit("sell", "INTC", 60, 5);
    const answer = await desk.http("DELETE", "/v2/positions");
    const failed = answer.json.find((it) => it.symbol === "INTC");
    assert.deepEqual([answer.status, failed.status, failed.body.code], [207, 403, 40310000]);
    await desk.flat("INTC");
  },
);
