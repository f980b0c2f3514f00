/**
 * What a strategy author in JavaScript uses: a class to extend, orders to build, money that is exact.
 *
 * Money, prices and shares are whole numbers (BigInt) in units of 10^-9, as they cross the interface: `price(167.41)`,
 * `shares(10)` and `usd(500)` make them, `decimal(n)` shows them, `toNumber(n)` gives the nearest float. Market data
 * (bars, quotes, trades) are plain numbers, in US dollars a share. Times are BigInt too: nanoseconds since 1970, UTC.
 * The words of orders and events (`'buy'`, `'gtc'`, `'partially-filled'`) are those of `strategy.wit`.
 */
import * as host from 'sandpit:strategy/host@0.1.0';
import { isTwoSided } from './money.js';
import { Orders } from './orders.js';
import { read } from './parameters.js';

export * from './indicators.js';
export * from './money.js';

/** The longest line of the log, as the host cuts it. */
const LINE_LENGTH = 1024;
/** This file, as calls name it. */
const DOORS = 'sandpit/index.js:';

/** A line in the host's log, cut at 1 KiB. */
export const log = {
  debug: (message) => host.log('debug', String(message)),
  info: (message) => host.log('info', String(message)),
  warn: (message) => host.log('warn', String(message)),
  error: (message) => host.log('error', String(message)),
};

/**
 * A trading strategy: a deterministic function of what it is told. Extend it, write the handlers that matter, and
 * export what `serve` makes of it.
 *
 * A constructor that throws an `Error` refuses to start; its message goes to the operator.
 */
export class Strategy {
  /** `name`, `version`, `parameters` (properties of a JSON Schema), `instruments`, `wants`, `warmupBars`. */
  static description = {};

  /** `parameters` are checked and have their defaults; an instrument is an index into `instruments`. */
  constructor(parameters, instruments) {
    this.parameters = parameters;
    this.instruments = instruments;
  }

  /** A minute is complete: `{instrument, start, open, high, low, close, volume}`. */
  onBar(ctx, bar) {}
  /** A bar came after its turn. `ctx.history` has it at its place already. */
  onLateBar(ctx, bar) {}
  /** A bar delivered before has other figures. `ctx.history` has them already. */
  onCorrectedBar(ctx, bar) {}
  /** The best prices changed: `{instrument, time, bid, bidSize, ask, askSize}`. */
  onQuote(ctx, quote) {}
  /** Somebody traded: `{instrument, time, price, size}`. */
  onTrade(ctx, trade) {}
  /** Every bar of the minute that starts at `start` is in. */
  onBarsComplete(ctx, start) {}
  /** An order of ours changed: `{id, leg, instrument, status, filled}`. */
  onOrderUpdate(ctx, update) {}
  /** An order of ours filled, wholly or in part: `{id, leg, instrument, side, quantity, price}`. */
  onFill(ctx, fill) {}
  /** An order of ours was not sent: `{id, reason}`. */
  onRefusal(ctx, refusal) {}
  onTimer(ctx, id) {}
  /** The regular session opens: `{open, close}`, both times. */
  onSessionOpen(ctx, session) {}
  onSessionClose(ctx, at) {}
  /** Market data is now `'live'`, `'stale'` or `'fallback'`. */
  onStreamHealth(ctx, health) {}
  onNews(ctx, news) {}

  /** State to carry over a restart, as text; the empty text means none. */
  save() {
    return '';
  }
  /** Takes back what `save` gave, possibly of an older version. An `Error` says that it is of no use. */
  load(version, state) {}
  /** The host is about to let go of the strategy. */
  stop(reason) {}
}

/** What a strategy sees and wants while it handles one event. */
class Ctx extends Orders {
  constructor() {
    super(host);
  }

  /** Market time of the event being handled. */
  now() {
    return host.now();
  }

  /** Our own position: `{quantity, averagePrice}`. */
  position(of) {
    return host.position(of);
  }

  /** `{equity, buyingPower}`. */
  account() {
    return host.account();
  }

  /** The newest quote, or `null`. */
  lastQuote(of) {
    const quote = host.lastQuote(of);
    return quote ? { instrument: of, ...quote } : null;
  }

  /** The newest quote if it has both sides and is no older than `maxAge` nanoseconds, else `null`. */
  freshQuote(of, maxAge) {
    const quote = this.lastQuote(of);
    return quote && isTwoSided(quote) && host.now() - quote.time <= maxAge ? quote : null;
  }

  /** The last complete one-minute bars, at most 1,000, as columns of equal length, oldest first. */
  history(of, count) {
    return host.history(of, count);
  }

  /** A seeded random number, a BigInt of 64 bits; the same again in a replay. */
  random() {
    return host.random();
  }
}

/** The only chance a strategy has is the host's, so that a replay meets the same. */
Math.random = () => Number(host.random() >> 11n) / 2 ** 53;

const HANDLERS = {
  'bars-complete': 'onBarsComplete',
  'order-update': 'onOrderUpdate',
  'fill': 'onFill',
  'refusal': 'onRefusal',
  'timer': 'onTimer',
  'session-open': 'onSessionOpen',
  'session-close': 'onSessionClose',
  'stream-health': 'onStreamHealth',
  'late-bar': 'onLateBar',
  'corrected-bar': 'onCorrectedBar',
  'news': 'onNews',
};

/** What the component exports, made of a class that extends `Strategy`. */
export function serve(Type) {
  const ctx = new Ctx();
  let strategy;

  const tell = (handler, event) => logged(() => {
    strategy[handler](ctx, event);
    return ctx.taken();
  });

  return {
    describe: () => logged(() => description(Type)),
    init: (json, instruments) => refusing(() => {
      const { parameters = {}, check = () => {} } = Type.description;
      const checked = read(json, parameters);
      check(checked);
      strategy = new Type(checked, instruments);
    }),
    onBar: (instrument, start, open, high, low, close, volume) =>
      tell('onBar', { instrument, start, open, high, low, close, volume }),
    onQuote: (instrument, time, bid, bidSize, ask, askSize) =>
      tell('onQuote', { instrument, time, bid, bidSize, ask, askSize }),
    onTrade: (instrument, time, price, size) => tell('onTrade', { instrument, time, price, size }),
    onEvent: ({ tag, val }) => {
      ctx.heard(tag, val);
      return tell(HANDLERS[tag], val);
    },
    save: () => logged(() => new TextEncoder().encode(strategy.save())),
    load: (version, state) => refusing(() => strategy.load(version, new TextDecoder().decode(state))),
    stop: (reason) => logged(() => strategy?.stop(reason)),
  };
}

function description(Type) {
  const { name, version, parameters = {}, instruments = [], wants = [], warmupBars = 0 } = Type.description;
  const schema = { type: 'object', additionalProperties: false, properties: parameters };
  const kinds = { bar: false, quote: false, trade: false, news: false };
  for (const kind of wants) {
    if (!(kind in kinds)) throw new Error(`description.wants: there is no '${kind}', only ${Object.keys(kinds)}`);
    kinds[kind] = true;
  }
  return { name, version, parametersSchema: JSON.stringify(schema), instruments, wants: kinds, warmupBars };
}

/** Sends the message and place of what is thrown to the host's log; the trap that follows carries neither. */
function logged(act) {
  try {
    return act();
  } catch (error) {
    host.log('error', words(error));
    throw error;
  }
}

/** For calls that may say no. A plain `Error` was meant, anything else is a slip and tells its place. */
function refusing(act) {
  try {
    act();
  } catch (error) {
    throw error?.constructor === Error ? error.message : words(error);
  }
}

/** What happened and where: the message, and the innermost calls, without those of this library's own doors. */
function words(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`;
  const calls = String(error?.stack ?? '').split('\n');
  const place = calls.filter((call) => call.includes('@') && !call.includes(DOORS)).slice(0, 3).join(', ');
  return (place ? `${text} (${place})` : text).slice(0, LINE_LENGTH);
}
