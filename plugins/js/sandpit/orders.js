/** Orders: how they are written, and which of them are open though the host has not answered yet. */

/**
 * How long past its time to live an order counts as open though the host has said nothing of it, nanoseconds. The host
 * answers every order with an update or a refusal, so silence means that it was not taken, as during warm-up.
 */
const UNHEARD_FOR = 120_000_000_000n;
/** Orders remembered until the host answers; beyond it the oldest is forgotten. */
const MAX_UNHEARD = 1024;
const MILLISECOND = 1_000_000n;

const opposite = (side) => (side === 'buy' ? 'sell' : 'buy');
const stopLoss = (of) => (typeof of === 'bigint' ? { stop: of, limit: undefined } : of);

/** An order being written; `send` sends it. Prices are whole numbers of ticks. */
class Ticket {
  #orders;
  #submit;

  constructor(orders, instrument, side, amount) {
    this.#orders = orders;
    this.#submit = {
      id: 0n,
      instrument,
      side,
      amount: typeof amount === 'bigint' ? { tag: 'shares', val: amount } : amount,
      kind: { tag: 'market' },
      class: { tag: 'simple' },
      reprice: undefined,
      timeInForce: 'day',
      extendedHours: false,
      timeToLiveMs: 0,
    };
  }

  #with(changes) {
    Object.assign(this.#submit, changes);
    return this;
  }

  /** At this price or better. After `stop` it makes a stop-limit order. */
  limit(price) {
    const { tag, val } = this.#submit.kind;
    const stop = tag === 'stop' ? val : tag === 'stop-limit' ? val.stop : null;
    const kind = stop === null ? { tag: 'limit', val: price } : { tag: 'stop-limit', val: { stop, limit: price } };
    return this.#with({ kind });
  }

  /** Sleeps until a trade is at this price or beyond. With `limit` it makes a stop-limit order. */
  stop(price) {
    const { tag, val } = this.#submit.kind;
    const limit = tag === 'limit' ? val : tag === 'stop-limit' ? val.limit : null;
    const kind = limit === null ? { tag: 'stop', val: price } : { tag: 'stop-limit', val: { stop: price, limit } };
    return this.#with({ kind });
  }

  /** Sleeps until the price has turned back from its best by this price or `percent(…)`. */
  trailingStop(trail) {
    const val = typeof trail === 'bigint' ? { tag: 'price', val: trail } : trail;
    return this.#with({ kind: { tag: 'trailing-stop', val } });
  }

  /** Once it has filled wholly, two exits of which one cancels the other. A stop is a price or `{stop, limit}`. */
  bracket(takeProfit, stop) {
    return this.#with({ class: { tag: 'bracket', val: { takeProfit, stopLoss: stopLoss(stop) } } });
  }

  /** It is an exit, a limit order, and here is another one: one cancels the other. */
  oco(stop) {
    return this.#with({ class: { tag: 'oco', val: stopLoss(stop) } });
  }

  /** Once it has filled wholly, an exit at this limit price. */
  otoTakeProfit(price) {
    return this.#with({ class: { tag: 'oto-take-profit', val: price } });
  }

  /** Once it has filled wholly, an exit that limits the loss. */
  otoStopLoss(stop) {
    return this.#with({ class: { tag: 'oto-stop-loss', val: stopLoss(stop) } });
  }

  /** If it has to wait in the host's queue, its limit follows the quote, but never worse than this price. */
  reprice(worst) {
    return this.#with({ reprice: worst });
  }

  /** `'day'` if not said, `'gtc'`, `'ioc'`, `'fok'`. */
  timeInForce(timeInForce) {
    return this.#with({ timeInForce });
  }

  extendedHours() {
    return this.#with({ extendedHours: true });
  }

  /** How long it may wait in the host's queue, milliseconds, before it is refused as `late`. */
  timeToLiveMs(timeToLiveMs) {
    return this.#with({ timeToLiveMs });
  }

  /** Sends it and tells its id, which no other order of this strategy has. */
  send() {
    return this.#orders.submit(this.#submit);
  }
}

/** A replacement being written; `send` sends it. What is not said stays as it is. */
class ReplaceTicket {
  #orders;
  #replace;

  constructor(orders, id) {
    this.#orders = orders;
    this.#replace = { id, newId: 0n, quantity: undefined, limit: undefined, stop: undefined, timeToLiveMs: 0 };
  }

  #with(changes) {
    Object.assign(this.#replace, changes);
    return this;
  }

  /** Shares in all, those already filled included. */
  quantity(quantity) {
    return this.#with({ quantity });
  }

  limit(limit) {
    return this.#with({ limit });
  }

  stop(stop) {
    return this.#with({ stop });
  }

  timeToLiveMs(timeToLiveMs) {
    return this.#with({ timeToLiveMs });
  }

  /** Sends it and tells the id of the order that takes the other one's place. */
  send() {
    return this.#orders.submitReplace(this.#replace);
  }
}

/** What a strategy wants of one event, and what is known of its orders. */
export class Orders {
  #host;
  #intents = [];
  #lastId = 0n;
  #unheard = [];

  constructor(host) {
    this.#host = host;
  }

  /** Starts an order to buy that many shares, or `notional(…)`, at the market until told otherwise. */
  buy(instrument, amount) {
    return this.order(instrument, 'buy', amount);
  }

  sell(instrument, amount) {
    return this.order(instrument, 'sell', amount);
  }

  order(instrument, side, amount) {
    return new Ticket(this, instrument, side, amount);
  }

  /** Starts an order that takes the place of a working one. A refusal bears the new id and leaves the old one. */
  replace(id) {
    return new ReplaceTicket(this, id);
  }

  /** Leaves a symbol: the host cancels our orders in it, then sells or buys back what is held. Tells the id. */
  closePosition(instrument) {
    const id = this.#nextId();
    const { quantity: held } = this.#host.position(instrument);
    const [side, quantity] = held > 0n ? ['sell', held] : ['buy', -held];
    this.#remember(pending({ id, instrument, side, quantity, kind: { tag: 'market' } }), 0);
    this.#intents.push({ tag: 'close-position', val: { id, instrument } });
    return id;
  }

  /** Wants one order cancelled, and its legs. It may still fill until an update says otherwise. */
  cancel(id) {
    this.#intents.push({ tag: 'cancel', val: id });
  }

  cancelAll() {
    this.#intents.push({ tag: 'cancel-all' });
  }

  /** Wants `onTimer` called at that time; setting the same id (BigInt) again moves the timer. */
  setTimer(id, at) {
    this.#intents.push({ tag: 'set-timer', val: { id, at } });
  }

  cancelTimer(id) {
    this.#intents.push({ tag: 'cancel-timer', val: id });
  }

  /** Records a decision and its reason, for post-mortems. `instrument` may be `null`. */
  signal(instrument, reason) {
    this.#intents.push({ tag: 'signal', val: { instrument: instrument ?? undefined, reason } });
  }

  /** Our orders that may still fill, those just sent included. */
  openOrders() {
    const now = this.#host.now();
    const open = this.#host.openOrders();
    for (const { order, until } of this.#unheard) {
      const isKnown = open.some((known) => known.id === order.id && known.leg === order.leg);
      if (now < until && !isKnown) open.push(order);
    }
    return open;
  }

  openOrdersOf(instrument) {
    return this.openOrders().filter((order) => order.instrument === instrument);
  }

  /** For `Ticket`. */
  submit(submit) {
    const { instrument, side, amount, kind, timeToLiveMs } = submit;
    const id = this.#nextId();
    const quantity = amount.tag === 'shares' ? amount.val : 0n;
    this.#remember(pending({ id, instrument, side, quantity, kind }), timeToLiveMs);
    for (const leg of legs(submit)) {
      this.#remember(pending({ id, instrument, quantity, status: 'held', ...leg }), timeToLiveMs);
    }
    this.#intents.push({ tag: 'submit', val: { ...submit, id } });
    return id;
  }

  /** For `ReplaceTicket`. */
  submitReplace(replace) {
    const newId = this.#nextId();
    const old = this.openOrders().find((order) => order.id === replace.id && order.leg === undefined);
    if (old) {
      const quantity = replace.quantity ?? old.quantity;
      const order = { ...old, id: newId, quantity, kind: changed(old.kind, replace), status: 'pending' };
      this.#remember(order, replace.timeToLiveMs);
    }
    this.#intents.push({ tag: 'replace', val: { ...replace, newId } });
    return newId;
  }

  /** For `serve`: any word of the host on an order; from here on its own list tells. */
  heard(tag, val) {
    if (tag !== 'order-update' && tag !== 'fill' && tag !== 'refusal') return;
    this.#unheard = this.#unheard.filter(({ order }) => order.id !== val.id);
  }

  /** For `serve`: what the event asked for. */
  taken() {
    const intents = this.#intents;
    this.#intents = [];
    return intents;
  }

  /**
   * Ids count up from the microsecond of the event, so that a strategy that was restarted within a session does not
   * repeat an id of its earlier life, and a replay gives the same ids again.
   */
  #nextId() {
    const microsecond = this.#host.now() / 1000n;
    this.#lastId = microsecond > this.#lastId ? microsecond : this.#lastId + 1n;
    return this.#lastId;
  }

  #remember(order, timeToLiveMs) {
    if (this.#unheard.length === MAX_UNHEARD) this.#unheard.shift();
    const until = this.#host.now() + BigInt(timeToLiveMs) * MILLISECOND + UNHEARD_FOR;
    this.#unheard.push({ order, until });
  }
}

function pending(order) {
  return { leg: undefined, filled: 0n, status: 'pending', ...order };
}

/** The legs besides the order itself: which, which way, what kind. */
function legs({ side, class: { tag, val } }) {
  const way = tag === 'oco' ? side : opposite(side);
  const profit = (price) => ({ leg: 'take-profit', side: way, kind: { tag: 'limit', val: price } });
  const loss = ({ stop, limit }) => {
    const kind = limit === undefined ? { tag: 'stop', val: stop } : { tag: 'stop-limit', val: { stop, limit } };
    return { leg: 'stop-loss', side: way, kind };
  };
  switch (tag) {
    case 'bracket':
      return [profit(val.takeProfit), loss(val.stopLoss)];
    case 'oco':
    case 'oto-stop-loss':
      return [loss(val)];
    case 'oto-take-profit':
      return [profit(val)];
    default:
      return [];
  }
}

/** A kind with the prices that a replacement changes. */
function changed(kind, { limit, stop }) {
  switch (kind.tag) {
    case 'limit':
      return { tag: 'limit', val: limit ?? kind.val };
    case 'stop':
      return { tag: 'stop', val: stop ?? kind.val };
    case 'stop-limit':
      return { tag: 'stop-limit', val: { stop: stop ?? kind.val.stop, limit: limit ?? kind.val.limit } };
    default:
      return kind;
  }
}
