// The SDK's streams, with what they delivered kept in order, and bare connections for what it does not show.
"use strict";

const { WebSocket } = require("ws");
const { until, BOUND_MS } = require("./market");

/** Trade updates, by the SDK. */
class Updates {
  constructor(stream) {
    this.stream = stream;
    this.seen = [];
    stream.onTradeUpdate((update) => this.seen.push(update));
  }

  /** Connects and waits for the broker's word that it listens. */
  async open() {
    const ready = new Promise((done) => this.stream.on("subscription", done));
    this.stream.onConnect(() => this.stream.subscribeTradeUpdates());
    this.stream.connect();
    await within("the trade-update stream", ready);
    return this;
  }

  of(orderId) {
    return this.seen.filter((update) => update.order.id === orderId);
  }

  names(orderId) {
    return this.of(orderId).map((update) => update.event);
  }

  /** Waits for an event of an order. */
  event(orderId, name) {
    const found = () => this.of(orderId).find((update) => update.event === name);
    return until(`event ${name} of ${orderId}`, found, () => this.names(orderId).join());
  }

  close() {
    this.stream.disconnect();
  }
}

/** A market-data stream of the SDK. */
class Data {
  constructor(stream) {
    this.stream = stream;
    this.seen = {
      trade: [],
      quote: [],
      bar: [],
      daily_bar: [],
      updated_bar: [],
      status: [],
      news: [],
      error: [],
    };
    for (const name of Object.keys(this.seen)) stream.on(name, (message) => this.seen[name].push(message));
  }

  /** Connects, authenticates, subscribes and waits for the acknowledgement, which it returns. */
  async open(subscribe) {
    this.stream.connect();
    const result = await within("authentication", this.stream.whenAuthenticated());
    if (!result.authenticated) throw new Error(`not let in: ${JSON.stringify(result)}`);
    return subscribe ? this.change(subscribe) : undefined;
  }

  /** Subscribes or unsubscribes and waits for the acknowledgement. */
  change(deed) {
    const ready = new Promise((done) => this.stream.once("subscription", done));
    deed(this.stream);
    return within("the acknowledgement", ready);
  }

  wait(name, wanted, what = name) {
    return until(
      what,
      () => this.seen[name].find(wanted),
      () => JSON.stringify(this.seen[name].slice(-2)),
    );
  }

  close() {
    this.stream.disconnect();
  }
}

/** A bare connection that speaks JSON. */
class Socket {
  constructor(url, headers) {
    this.frames = [];
    this.closed = false;
    this.socket = new WebSocket(url, { headers, perMessageDeflate: false });
    this.socket.on("message", (data, binary) => this.frames.push({ text: data.toString(), binary }));
    this.socket.on("close", () => (this.closed = true));
    this.opened = new Promise((done, fail) => {
      this.socket.on("open", done);
      this.socket.on("unexpected-response", (_, answer) => fail(new Error(`HTTP ${answer.statusCode}`)));
      this.socket.on("error", fail);
    });
    this.opened.catch(() => {});
  }

  async open() {
    await within("the connection", this.opened);
    return this;
  }

  say(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  async frame() {
    await until(
      "a frame",
      () => this.frames.length > 0,
      () => (this.closed ? "closed" : "open"),
    );
    return this.frames.shift();
  }

  async hear() {
    return JSON.parse((await this.frame()).text);
  }

  close() {
    this.socket.close();
  }
}

function within(what, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${BOUND_MS} ms in vain for ${what}`)), BOUND_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

module.exports = { Updates, Data, Socket, within };
