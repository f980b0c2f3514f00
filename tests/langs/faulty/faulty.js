/** Fails on every bar, in the way that its parameter says, or asks for everything that there is. */
import { SECOND, Strategy, notional, percent, price, serve, shares, usd } from './sandpit/index.js';

const FAULTS = {
  1() {
    const nothing = undefined;
    return nothing.length;
  },
  2() {
    for (;;);
  },
  3() {
    const kept = [];
    for (;;) kept.push(new Float64Array(1 << 17).fill(kept.length));
  },
  4: function deeper(depth = 0) {
    return deeper(depth + 1) + 1;
  },
};

function everything(ctx) {
  const [ten, five, one] = [shares(10), shares(5), shares(1)];
  const first = ctx.buy(0, ten).limit(price(101)).stop(price(100)).timeInForce('gtc').send();
  ctx.sell(0, five).stop(price(99)).send();
  ctx.sell(0, five).trailingStop(price(1.5)).send();
  ctx.sell(0, five).trailingStop(percent(2)).send();
  ctx.buy(0, notional(usd(500))).timeToLiveMs(5000).send();
  ctx.buy(0, ten).limit(price(100)).bracket(price(110), { stop: price(90), limit: price(89) }).send();
  ctx.sell(0, ten).limit(price(120)).oco(price(80)).send();
  ctx.buy(0, one).otoTakeProfit(price(130)).send();
  ctx.buy(0, one).otoStopLoss(price(70)).timeInForce('gtc').send();
  ctx.buy(0, ten).limit(price(100)).reprice(price(100.5)).timeInForce('fok').send();
  ctx.buy(0, ten).limit(price(100)).extendedHours().send();
  ctx.replace(first).quantity(shares(12)).limit(price(102)).stop(price(101)).timeToLiveMs(1000).send();
  ctx.closePosition(0);
  ctx.cancel(first);
  ctx.cancelAll();
  ctx.setTimer(3n, ctx.now() + SECOND);
  ctx.cancelTimer(4n);
  ctx.signal(0, `${ctx.openOrdersOf(0).length} open, ${ctx.history(0, 9).close.length} bars, ${ctx.random()}`);
  ctx.signal(null, '');
}

class Faulty extends Strategy {
  static description = {
    name: 'faulty',
    version: '1',
    parameters: { fault: { type: 'integer', minimum: 0, maximum: 6, default: 0 } },
    instruments: ['SPY'],
    wants: ['bar'],
  };

  onBar(ctx) {
    if (this.parameters.fault === 6) everything(ctx);
    FAULTS[this.parameters.fault]?.();
  }
}

export const { describe, init, onBar, onQuote, onTrade, onEvent, save, load, stop } = serve(Faulty);
