// Brackets, one-cancels-other and one-triggers-other.
"use strict";

const { assert, topic, inSession, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks, before: inSession };

async function start(desk, symbol, price) {
  await desk.market.quote(symbol, price - 0.01, price + 0.01, 10_000);
  await desk.market.trade(symbol, price);
  await desk.flat(symbol);
}

/** The take-profit and the stop-loss of an order. */
const legs = (order) => [
  order.legs.find((it) => it.type === "limit"),
  order.legs.find((it) => it.type === "stop" || it.type === "stop_limit"),
];

/** The legs of an order, once it has filled. */
async function entered(desk, order) {
  await desk.fills(order);
  return legs(await desk.orders.getOrderByOrderID({ orderId: order.id, nested: true }));
}

const bracket = (desk, symbol, profit, stop, more = {}) =>
  desk.orders.bracket({
    symbol,
    qty: 2,
    side: "buy",
    takeProfit: { limitPrice: profit },
    stopLoss: { stopPrice: stop },
    ...more,
  });

check("answer", "2.5 a bracket is answered with two held legs", async (desk) => {
  await start(desk, "KO", 70);
  const order = await bracket(desk, "KO", 80, 50, { limitPrice: 60 });
  assert.equal(order.orderClass, "bracket");
  assert.deepEqual(
    order.legs.map((it) => [it.status, it.side]),
    [
      ["held", "sell"],
      ["held", "sell"],
    ],
  );
  await desk.cancel(order.id);
  for (const leg of order.legs) await desk.reaches(leg.id, "canceled");
});

check(
  "profit",
  "2.5 after the entry the take-profit works; when it fills the stop-loss is canceled",
  async (desk) => {
    await start(desk, "KO", 70);
    const [profit, stop] = await entered(desk, await bracket(desk, "KO", 75, 65));
    await desk.reaches(profit.id, "new");
    assert.equal((await desk.see(stop.id)).status, "held");
    await desk.market.quote("KO", 75, 75.02, 10_000);
    await desk.fills(profit);
    await desk.reaches(stop.id, "canceled");
  },
);

check("stop", "2.5 when the stop-loss fires the take-profit is canceled", async (desk) => {
  await start(desk, "KO", 70);
  const [profit, stop] = await entered(desk, await bracket(desk, "KO", 75, 65));
  await desk.market.quote("KO", 64.9, 64.92, 10_000);
  await desk.market.trade("KO", 64.91);
  await desk.fills(stop);
  await desk.reaches(profit.id, "canceled");
});

check("oto", "2.5 the one leg of an OTO works after the entry", async (desk) => {
  await start(desk, "DIS", 90);
  const order = await desk.orders.oto({ symbol: "DIS", qty: 2, side: "buy", stopLoss: { stopPrice: 80 } });
  assert.equal(order.legs.length, 1);
  await desk.fills(order);
  await desk.reaches(order.legs[0].id, "new");
  await desk.flat("DIS");
});

check(
  "oco",
  "2.5 an OCO is its own take-profit, its leg the stop; one canceled takes the other along",
  async (desk) => {
    await start(desk, "DIS", 90);
    await desk.hold("DIS", 2);
    const order = await desk.orders.oco({
      symbol: "DIS",
      qty: 2,
      side: "sell",
      takeProfit: { limitPrice: 100 },
      stopLoss: { stopPrice: 80 },
    });
    assert.deepEqual([order.type, order.limitPrice, order.legs[0].stopPrice], ["limit", "100", "80"]);
    await desk.reaches(order.id, "new");
    await desk.cancel(order.id);
    await desk.reaches(order.legs[0].id, "canceled");
    await desk.flat("DIS");
  },
);

check(
  "wrong_way",
  "2.1 exits the wrong way round, or a stop at the base price, are 422 42210000",
  async (desk) => {
    await start(desk, "KO", 70);
    const says = /take_profit.limit_price must be > stop_loss.stop_price/;
    await refused(() => bracket(desk, "KO", 60, 65, { limitPrice: 70 }), 422, 42210000, says);
    await refused(() => bracket(desk, "KO", 80, 70, { limitPrice: 70 }), 422, 42210000, /stop.price must /);
  },
);

check(
  "rules",
  "2.5 groups are DAY or GTC, never for extended hours, and a bracket wants both exits",
  async (desk) => {
    await refused(() => bracket(desk, "KO", 80, 50, { limitPrice: 60, timeInForce: "ioc" }), 422);
    await refused(() => bracket(desk, "KO", 80, 50, { limitPrice: 60, extendedHours: true }), 422);
    const half = {
      symbol: "KO",
      qty: "2",
      side: "buy",
      type: "market",
      timeInForce: "day",
      orderClass: "bracket",
    };
    await refused(() => desk.post({ ...half, takeProfit: { limitPrice: "80" } }), 422);
  },
);
