/** Fails on every bar, in the way that its parameter says. */
import { Strategy, serve } from './sandpit/index.js';

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

class Faulty extends Strategy {
  static description = {
    name: 'faulty',
    version: '1',
    parameters: { fault: { type: 'integer', minimum: 0, maximum: 4, default: 0 } },
    instruments: ['SPY'],
    wants: ['bar'],
  };

  onBar() {
    FAULTS[this.parameters.fault]?.();
  }
}

export const { describe, init, onBar, onQuote, onTrade, onEvent, save, load, stop } = serve(Faulty);
