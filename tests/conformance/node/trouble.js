// What goes wrong in real life, switched on for one check at a time, as the SDK meets it.
"use strict";

const { FetchError } = require("@alpacahq/alpaca-trade-api");
const { assert, topic, refused, fresh } = require("./desk");
const { until } = require("./market");
const { checks, check } = topic();
module.exports = { checks };

const orders = { path: "/v2/orders", method: "POST", at_most: 1 };

async function start(desk) {
  if (!(await desk.trading.clock.legacyClock()).isOpen) await desk.market.advanceTo("2026-06-08", "10:00:00");
  await desk.market.quote("AAPL", 199.99, 200.01, 10_000);
}

check("error_after", "2.1 a 500 may hide an order that was taken; its client id finds it", async (desk) => {
  await start(desk);
  const clientOrderId = fresh();
  const place = () => desk.limit("buy", "AAPL", 150, 1, { clientOrderId });
  await desk.market.fault("server_error", { status: 500, deed: "done", ...orders }, () =>
    refused(place, 500, 50010000),
  );
  assert.equal((await desk.orders.getOrderByClientOrderId({ clientOrderId })).limitPrice, "150");
  await desk.orders.deleteAllOrders();
});

check(
  "time_out",
  "2.1 a 504 is 50410000 request timed out, and this SDK never repeats a POST",
  async (desk) => {
    const clientOrderId = fresh();
    const eager = desk.client({ retry: { maxRetries: 3, retryDelayMs: 1 } });
    const place = () =>
      eager.trading.orders.limit({ symbol: "AAPL", qty: 1, side: "buy", limitPrice: 150, clientOrderId });
    const rule = { status: 504, deed: "done", ...orders };
    await desk.market.fault("server_error", rule, () => refused(place, 504, 50410000));
    assert.equal((await desk.orders.getAllOrders({ symbols: "AAPL" })).length, 1);
    await desk.orders.deleteAllOrders();
  },
);

check(
  "reset",
  "8 a connection that is cut leaves the outcome open: the SDK says FetchError",
  async (desk) => {
    const clientOrderId = fresh();
    const place = () => desk.limit("buy", "AAPL", 150, 1, { clientOrderId });
    await desk.market.fault("reset", { deed: "done", ...orders }, () => assert.rejects(place(), FetchError));
    assert.equal((await desk.orders.getOrderByClientOrderId({ clientOrderId })).status, "new");
    await desk.orders.deleteAllOrders();
  },
);

check("retry", "7 a GET that fails with 503 is tried again by the SDK", async (desk) => {
  const eager = desk.client({ retry: { maxRetries: 2, retryDelayMs: 1 } });
  const rule = { status: 503, path: "/v2/account", at_most: 2 };
  const account = await desk.market.fault("server_error", rule, () => eager.trading.account.getAccount());
  assert.equal(account.status, "ACTIVE");
});

check("html", "2.1 the edge may answer HTML", async (desk) => {
  const call = () => desk.trading.positions.getAllOpenPositions();
  await desk.market.fault("html", { status: 502, path: "/v2/positions", at_most: 1 }, () =>
    assert.rejects(call(), (error) => error.status === 502 && error.code === undefined),
  );
});

check("pending_cancel", "8 an order may stand in pending_cancel for long", async (desk) => {
  const order = await desk.limit("buy", "AAPL", 150);
  await desk.market.fault("stuck_cancels", {}, async () => {
    await desk.cancel(order.id);
    await desk.reaches(order.id, "pending_cancel");
    const patch = { orderId: order.id, patchOrderRequest: { limitPrice: "151" } };
    await refused(() => desk.orders.patchOrderByOrderId(patch), 422);
  });
  await desk.reaches(order.id, "canceled");
});

check("partial_failure", "2.5 one of a 207 may fail with its own status", async (desk) => {
  await desk.limit("buy", "AAPL", 10);
  await desk.limit("buy", "MSFT", 10);
  const rule = { status: 500, path: "/v2/orders", at_most: 1 };
  const answers = await desk.market.fault("partial_failure", rule, () => desk.orders.deleteAllOrders());
  assert.deepEqual(answers.map((it) => it.status).sort(), [200, 500]);
  await desk.orders.deleteAllOrders();
});

check("halt", "4 a halted symbol fills nothing until it trades again", async (desk) => {
  const order = await desk.market.fault("halt", { symbol: "AAPL" }, async () => {
    const made = await desk.buy("AAPL");
    await desk.market.again("AAPL");
    assert.equal((await desk.see(made.id)).filledQty, "0");
    return made;
  });
  await desk.fills(order);
  await desk.flat("AAPL");
});

check("duplicate", "3 an update may come twice with one execution id", async (desk) => {
  const updates = await desk.updates();
  const order = await desk.market.fault("duplicate", { stream: "trades" }, async () => {
    const made = await desk.fills(await desk.buy("AAPL"));
    await until("two fills", () => updates.names(made.id).filter((name) => name === "fill").length === 2);
    return made;
  });
  const fills = updates.of(order.id).filter((it) => it.event === "fill");
  assert.equal(fills[0].executionId, fills[1].executionId);
  await desk.flat("AAPL");
});

check("drop", "4 a dropped data stream is opened again by the SDK with its subscriptions", async (desk) => {
  const stream = desk.stock("/v2/iex", { reconnect: true, initialReconnectMs: 10 });
  await stream.open((it) => it.subscribeForTrades(["MSFT"]));
  const again = new Promise((done) => stream.stream.onReconnected(done));
  await desk.market.fault("drop", { stream: "data", at_most: 1 }, () => desk.market.trade("MSFT", 400, 2));
  await again;
  await until("a trade afterwards", async () => {
    await desk.market.trade("MSFT", 400, 3);
    return stream.seen.trade.find((it) => it.size === 3);
  });
  stream.close();
});

check(
  "handshake",
  "8 the trade-update stream may refuse at the handshake; the SDK comes back",
  async (desk) => {
    desk.closeUpdates();
    const stream = desk.trading.stream({ url: `${desk.ws}/stream`, initialReconnectMs: 10 });
    const errors = [];
    stream.onError((error) => errors.push(error));
    await desk.market.fault("handshake_429", { path: "/stream", at_most: 1 }, async () => {
      stream.connect();
      assert.equal((await stream.waitForAuthentication(15_000)) || errors.length > 0, true);
    });
    await until(
      "the stream is through",
      () => stream.getState() === "authenticated",
      () => stream.getState(),
    );
    stream.disconnect();
  },
);
