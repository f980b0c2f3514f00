// The broker's control panel: its clock stands still unless a check moves it, and prices are what checks say.
"use strict";

const BOUND_MS = 10_000;
const LOOK_MS = 10;
// The days that are played lie in summer.
const NEW_YORK = "-04:00";

/** Waits until `look` gives something true and returns it. */
async function until(what, look, found = () => "") {
  const end = Date.now() + BOUND_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited ${BOUND_MS} ms in vain for: ${what}; now ${await found()}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

class Market {
  constructor(base) {
    this.base = base;
    this.standing = new Map();
  }

  async control(method, path, body) {
    const answer = await fetch(`${this.base}/sim/${path}`, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`/sim/${path} ${JSON.stringify(body)}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  pause() {
    return this.control("POST", "clock", { pause: true });
  }

  status() {
    return this.control("GET", "status");
  }

  /** Market time, a Date. */
  async now() {
    return new Date((await this.status()).market_time);
  }

  /** Lets market time pass, at once. */
  advance(secs) {
    return this.control("POST", "clock", { advance: `${secs}s` });
  }

  /** Lets market time pass until a moment in New York; never back. */
  async advanceTo(day, clock) {
    const to = new Date(`${day}T${clock.padStart(8, "0")}${NEW_YORK}`);
    if (to > (await this.now())) await this.control("POST", "clock", { advance_to: to.toISOString() });
  }

  /** The standing bid and offer from now on. */
  quote(symbol, bid, ask, size = 1000) {
    this.standing.set(symbol, [bid, ask, size]);
    return this.control("POST", "inject", { quote: { symbol, bid, bid_size: size, ask, ask_size: size } });
  }

  /** The standing quote once more. */
  async again(symbol) {
    if (this.standing.has(symbol)) await this.quote(symbol, ...this.standing.get(symbol));
  }

  /** Somebody trades. */
  trade(symbol, price, size = 100) {
    return this.control("POST", "inject", { trade: { symbol, price, size } });
  }

  /** A message of the data stream, as it is on the wire. */
  message(fields) {
    return this.control("POST", "inject", { message: fields });
  }

  /** The exchange does something with an order. */
  orderEvent(id, event) {
    return this.control("POST", "inject", { order: { id, event } });
  }

  /** Something goes wrong for as long as the deed lasts. */
  async fault(kind, rule, deed) {
    const { id } = await this.control("POST", "faults", { kind, ...rule });
    try {
      return await deed();
    } finally {
      await this.control("DELETE", `faults/${id}`);
    }
  }
}

module.exports = { Market, until, BOUND_MS };
