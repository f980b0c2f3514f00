/**
 * Follows the trend, long only: buys when a fast moving average of the closes crosses above a slow one, sells when it
 * is below again. One position and at most one open order a symbol.
 *
 * Orders are limits across the spread, or market orders where there is no quote. One that is still open at the next
 * bar is cancelled. An entry that does not come about is tried again at the next bars, a few times; an exit for ever.
 */
import { MINUTE, Sma, Strategy, across, decimal, price, serve, sharesAt, toNumber, usd } from './sandpit/index.js';

/** How often an entry is tried before the cross counts as missed. */
const MAX_ENTRY_TRIES = 3;
/** An order that waits longer than this in the host's queue is of no use: the next bar decides anew. */
const TIME_TO_LIVE_MS = 30_000;
/** The longest average, in bars: a trading day. */
const MAX_BARS = 390;

const parameters = {
  fast: {
    type: 'integer', minimum: 1, maximum: 389, default: 5,
    description: 'Bars in the fast average; fewer than in the slow one.',
  },
  slow: { type: 'integer', minimum: 2, maximum: MAX_BARS, default: 20, description: 'Bars in the slow average.' },
  fraction: {
    type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.05,
    description: 'Share of the equity that one position may cost when it is opened.',
  },
  usd: {
    type: 'number', exclusiveMinimum: 0, maximum: 1_000_000_000,
    description: 'US dollars that one position may cost when it is opened, instead of fraction.',
  },
  flatten_before_close_minutes: {
    type: 'integer', minimum: 1, maximum: 389,
    description: "Minutes before the session's close from which on positions are sold and none is opened.",
  },
};

class SmaCross extends Strategy {
  static description = {
    name: 'SMA cross, in JavaScript',
    version: '0.1.0',
    parameters,
    check({ fast, slow }) {
      if (fast >= slow) throw new Error(`parameters: fast must be below slow, not ${fast} and ${slow}`);
    },
    instruments: ['SPY'],
    // Quotes are wanted to price orders, not to act on.
    wants: ['bar', 'quote'],
    // Enough whatever the parameters: they are not known yet when it is asked.
    warmupBars: MAX_BARS,
  };

  constructor(parameters, instruments) {
    super(parameters, instruments);
    this.symbols = instruments.map(() => new Averages(parameters));
    /** When the session closes; `null` while nothing is known of it. */
    this.closesAt = null;
    this.isClosed = false;
  }

  onBar(ctx, bar) {
    const trend = this.symbols[bar.instrument].onClose(bar.close);
    const open = ctx.openOrdersOf(bar.instrument);
    if (open.length > 0) {
      open.forEach((order) => ctx.cancel(order.id));
      return;
    }
    if (this.isClosed) return;
    const held = ctx.position(bar.instrument).quantity;
    if (held > 0n && (trend === 'below' || this.isLate(ctx))) {
      this.exit(ctx, bar, held);
    } else if (held === 0n && trend === 'above' && !this.isLate(ctx)) {
      this.enter(ctx, bar);
    }
  }

  onOrderUpdate(ctx, update) {
    if (update.status === 'rejected') {
      ctx.signal(update.instrument, 'the broker rejected the order; the next bar decides anew');
    }
  }

  onFill(ctx, fill) {
    if (fill.side === 'buy') this.symbols[fill.instrument].tries = 0;
  }

  onRefusal(ctx, refusal) {
    // The answer to a cancel that came too late.
    if (refusal.reason === 'unknown-order') return;
    ctx.signal(null, `order ${refusal.id} refused: ${refusal.reason}; the next bar decides anew`);
    if (refusal.reason === 'session-closed') this.isClosed = true;
  }

  onSessionOpen(ctx, session) {
    this.closesAt = session.close;
    this.isClosed = false;
  }

  onSessionClose() {
    this.isClosed = true;
  }

  /** Whether it is so late in the session that positions are only sold. */
  isLate(ctx) {
    const { flatten_before_close_minutes: minutes } = this.parameters;
    if (minutes === null || this.closesAt === null || this.isClosed) return false;
    return this.closesAt - ctx.now() <= BigInt(minutes) * MINUTE;
  }

  enter(ctx, bar) {
    const symbol = this.symbols[bar.instrument];
    if (symbol.tries === 0) return;
    symbol.tries -= 1;
    const limit = marketable(ctx, bar.instrument, 'buy');
    const at = limit ?? price(bar.close);
    if (at === null) return;
    const quantity = sharesAt(this.budget(ctx), at);
    if (quantity === 0n) {
      ctx.signal(bar.instrument, `crossed up, but the budget buys no share at ${decimal(at)}`);
      return;
    }
    ctx.signal(bar.instrument, `crossed up: buying ${decimal(quantity)} at ${decimal(at)}`);
    send(ctx, bar.instrument, 'buy', quantity, limit);
  }

  exit(ctx, bar, held) {
    ctx.signal(bar.instrument, `below, or late in the session: selling ${decimal(held)}`);
    send(ctx, bar.instrument, 'sell', held, marketable(ctx, bar.instrument, 'sell'));
  }

  budget(ctx) {
    const fixed = this.parameters.usd === null ? null : usd(this.parameters.usd);
    return fixed ?? usd(toNumber(ctx.account().equity) * this.parameters.fraction) ?? 0n;
  }
}

/** One symbol's averages, and the entry that is due. */
class Averages {
  constructor({ fast, slow }) {
    this.fast = new Sma(fast);
    this.slow = new Sma(slow);
    /** Whether the fast average was above the slow one at the last bar. */
    this.wasAbove = null;
    /** Tries left of an entry whose cross has come and whose position has not. */
    this.tries = 0;
  }

  /** Takes the next close. A cross upwards makes an entry due, a cross downwards takes it back. */
  onClose(close) {
    const fast = this.fast.push(close);
    const slow = this.slow.push(close);
    if (fast === null || slow === null) return 'unknown';
    const isAbove = fast > slow;
    if (this.wasAbove === false && isAbove) this.tries = MAX_ENTRY_TRIES;
    if (!isAbove) this.tries = 0;
    this.wasAbove = isAbove;
    return isAbove ? 'above' : 'below';
  }
}

function send(ctx, instrument, side, quantity, limit) {
  const ticket = ctx.order(instrument, side, quantity).timeToLiveMs(TIME_TO_LIVE_MS);
  (limit === null ? ticket : ticket.limit(limit)).send();
}

/** The price across the spread, on a tick; `null` without a quote of both sides. */
function marketable(ctx, instrument, side) {
  const quote = ctx.lastQuote(instrument);
  return quote === null ? null : across(quote, side);
}

export const { describe, init, onBar, onQuote, onTrade, onEvent, save, load, stop } = serve(SmaCross);
