// What topics share: the SDK's client, aimed at the broker, and the means to say what is expected.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { Alpaca, ApiError, streaming } = require("@alpacahq/alpaca-trade-api");
const { Market, until } = require("./market");
const { Updates, Data } = require("./listen");

// The keys of every suite: the one that looks at keys lets only these in.
const KEY = "PKCONFORM";
const SECRET = "very-secret";

const DECIMAL = /^-?\d+(\.\d+)?$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// RFC 3339 in UTC with up to nanoseconds.
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** Collects the checks of a topic: `check(name, fact, run)`, the fact being a section and our words. */
function topic() {
  const checks = [];
  return { checks, check: (name, fact, run) => checks.push({ name, fact, run }) };
}

/** Asserts that a call is refused with this status, code (one, several or none) and words. */
async function refused(call, status, code, says = /./) {
  let found;
  try {
    found = await call();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    assert.equal(error.status, status, `the status, with ${error.code} ${error.message}`);
    const codes = code === undefined ? [error.code] : [code].flat();
    assert.ok(codes.includes(error.code), `the code is ${error.code}, not ${codes} (${error.message})`);
    assert.match(error.message, says);
    return error;
  }
  throw new Error(`not refused: ${JSON.stringify(found)}`);
}

/** What most topics begin with: the first day's session, nothing working, nothing held. */
async function inSession(desk) {
  await desk.market.advanceTo("2026-06-08", "10:00:00");
  await desk.orders.deleteAllOrders();
  const held = await desk.trading.positions.getAllOpenPositions();
  for (const { symbol } of held) await desk.flat(symbol);
}

/** A client order id that nobody has used. */
const fresh = (prefix = "conf") => `${prefix}-${randomUUID()}`;

class Desk {
  constructor(address) {
    this.base = `http://${address}`;
    this.ws = `ws://${address}`;
    this.market = new Market(this.base);
    this.alpaca = this.client();
    this.trading = this.alpaca.trading;
    this.orders = this.alpaca.trading.orders;
    this.data = this.alpaca.marketData;
  }

  /** The SDK's client. It has no option for another host, but one for what fetches: requests go elsewhere there. */
  client(options = {}) {
    const hosts = /^https:\/\/(paper-api|data)\.alpaca\.markets/;
    const fetchApi = (url, init) => fetch(String(url).replace(hosts, this.base), init);
    return new Alpaca({
      keyId: KEY,
      secret: SECRET,
      paper: true,
      rateLimit: false,
      retry: false,
      fetchApi,
      ...options,
    });
  }

  /** A plain request, for what no method of the SDK covers; `{status, headers, text, json}`. */
  async http(method, path, body, headers = {}) {
    const keys = { "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET };
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const answer = await fetch(this.base + path, { method, body: sent, headers: { ...keys, ...headers } });
    const text = await answer.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: answer.status, headers: answer.headers, text, json };
  }

  /** A plain GET that has to be answered with 200. */
  async get(path) {
    const answer = await this.http("GET", path);
    assert.equal(answer.status, 200, `GET ${path}: ${answer.text}`);
    return answer.json;
  }

  /** The account's one trade-update stream, opened on first use. */
  async updates() {
    if (!this.open) {
      const make = () => new Updates(this.trading.stream({ url: `${this.ws}/stream`, reconnect: false }));
      this.open = await until("the trade-update stream", () =>
        make()
          .open()
          .catch(() => undefined),
      );
    }
    return this.open;
  }

  closeUpdates() {
    this.open?.close();
    this.open = undefined;
  }

  /** A stock stream of the SDK. */
  stock(path = "/v2/iex", options = {}) {
    return new Data(this.data.stockStream({ url: this.ws + path, reconnect: false, ...options }));
  }

  close() {
    this.closeUpdates();
  }

  // Orders.

  buy(symbol, qty = 1, more = {}) {
    return this.orders.market({ symbol, qty, side: "buy", ...more });
  }

  sell(symbol, qty = 1, more = {}) {
    return this.orders.market({ symbol, qty, side: "sell", ...more });
  }

  limit(side, symbol, limitPrice, qty = 1, more = {}) {
    return this.orders.limit({ symbol, qty, side, limitPrice, ...more });
  }

  /** An order as it is written here, for what the SDK's builders would not build. */
  post(fields) {
    return this.orders.postOrder({ postOrderRequest: fields });
  }

  see(orderId) {
    return this.orders.getOrderByOrderID({ orderId });
  }

  cancel(orderId) {
    return this.orders.deleteOrderByOrderID({ orderId });
  }

  /** Waits until an order has a status, and returns it; `nudge` is done before each further look. */
  reaches(orderId, status, nudge) {
    const look = async () => {
      const order = await this.see(orderId);
      if (order.status === status) return order;
      if (nudge) await nudge();
      return undefined;
    };
    return until(`order ${orderId} is ${status}`, look, async () => (await this.see(orderId)).status);
  }

  /** Waits until an order is filled; a paper engine may fill a part first and goes on at the next quote. */
  fills(order) {
    return this.reaches(order.id, "filled", () => this.market.again(order.symbol));
  }

  /** Makes sure that exactly this many shares are held. */
  async hold(symbol, qty) {
    await this.flat(symbol);
    if (qty > 0) await this.fills(await this.buy(symbol, qty));
    if (qty < 0) await this.fills(await this.sell(symbol, -qty));
  }

  /** No order of the symbol works and none of it is held. */
  async flat(symbol) {
    for (const order of await this.orders.getAllOrders({ status: "open", symbols: symbol })) {
      await this.cancel(order.id).catch((error) => {
        if (error.status !== 422) throw error; // ended meanwhile, with its group
      });
    }
    const held = (await this.trading.positions.getAllOpenPositions()).some((it) => it.symbol === symbol);
    if (held) await this.fills(await this.trading.positions.deleteOpenPosition({ symbolOrAssetId: symbol }));
  }

  /** A position as plain JSON. */
  position(symbol) {
    return this.get(`/v2/positions/${symbol}`);
  }
}

module.exports = {
  assert,
  topic,
  refused,
  inSession,
  fresh,
  Desk,
  streaming,
  KEY,
  SECRET,
  DECIMAL,
  UUID,
  STAMP,
};
