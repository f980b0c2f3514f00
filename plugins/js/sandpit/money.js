/** Money that is exact: whole numbers (BigInt) in units of 10^-9, as they cross the interface. */

/** Units of 10^-9 in one. */
export const UNIT = 1_000_000_000n;
export const SECOND = 1_000_000_000n;
export const MINUTE = 60n * SECOND;

/** What fits into 64 bits with a sign ends here. */
const RANGE = 2 ** 63;

/** The nearest money to a float of market data; `null` when that is not finite or does not fit. */
export function price(value) {
  const scaled = Math.abs(value * 1e9);
  if (!(scaled < RANGE)) return null;
  // Halves go away from zero.
  const whole = Math.floor(scaled);
  const nanos = BigInt(whole) + (scaled - whole >= 0.5 ? 1n : 0n);
  return value < 0 ? -nanos : nanos;
}

export { price as usd };

/** Whole shares. */
export const shares = (count) => BigInt(count) * UNIT;

/** An amount of dollars to buy or sell for, in the place of shares. */
export const notional = (nanos) => ({ tag: 'notional', val: nanos });

/** A percentage for a trailing stop: 1.5 is 1.5 %. */
export const percent = (value) => ({ tag: 'percent', val: price(value) });

/** The nearest float: for figures and ratios, never for orders. */
export const toNumber = (nanos) => Number(nanos) / 1e9;

/** As a decimal without trailing zeros. */
export function decimal(nanos) {
  const magnitude = nanos < 0n ? -nanos : nanos;
  const fraction = (magnitude % UNIT).toString().padStart(9, '0').replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${magnitude / UNIT}${fraction && `.${fraction}`}`;
}

/** How many whole shares these dollars pay for; zero when either is not above zero. */
export const sharesAt = (dollars, of) => (dollars > 0n && of > 0n ? (dollars / of) * UNIT : 0n);

/** The smallest step of an order's price: 0.01 USD from 1 USD upwards, 0.0001 USD below. */
export const tick = (of) => (of >= UNIT ? 10_000_000n : 100_000n);

export const roundDownToTick = (of) => of - (((of % tick(of)) + tick(of)) % tick(of));

export function roundUpToTick(of) {
  const down = roundDownToTick(of);
  return down === of ? of : down + tick(down);
}

/** Whether both sides of a quote are there and not crossed. */
export const isTwoSided = (quote) => quote.bid > 0 && quote.ask >= quote.bid && quote.ask < Infinity;

/** The limit price that trades at once: the other side of the spread, on a tick. `null` for a broken quote. */
export function across(quote, side) {
  if (!isTwoSided(quote)) return null;
  const of = price(side === 'buy' ? quote.ask : quote.bid);
  const rounded = of === null ? null : side === 'buy' ? roundUpToTick(of) : roundDownToTick(of);
  return rounded !== null && rounded > 0n ? rounded : null;
}
