/** Indicators: each takes a value in constant time. */

/**
 * The simple moving average of the last `period` values. In constant time and without drift: a second sum starts at
 * every wrap of the ring and only adds; at the next wrap it covers exactly the ring, and takes over.
 */
export class Sma {
  #values;
  #next = 0;
  #isFull = false;
  #current = { pivot: 0, sum: 0 };
  #fresh = { pivot: 0, sum: 0 };

  constructor(period) {
    this.#values = new Float64Array(period);
  }

  /** Takes the next value, unless it is not finite; the average now. */
  push(value) {
    if (!Number.isFinite(value)) return this.value();
    if (this.#next === 0 && !this.#isFull) {
      this.#current = { pivot: value, sum: 0 };
      this.#fresh = { pivot: value, sum: 0 };
    }
    const oldest = this.#values[this.#next];
    this.#values[this.#next] = value;
    if (this.#isFull) this.#current.sum -= oldest - this.#current.pivot;
    this.#current.sum += value - this.#current.pivot;
    this.#fresh.sum += value - this.#fresh.pivot;
    this.#next += 1;
    if (this.#next === this.#values.length) {
      this.#next = 0;
      this.#isFull = true;
      this.#current = this.#fresh;
      this.#fresh = { pivot: this.#mean(), sum: 0 };
    }
    return this.value();
  }

  /** The average; `null` before `period` values came. */
  value() {
    return this.#isFull ? this.#mean() : null;
  }

  #mean() {
    return this.#current.pivot + this.#current.sum / this.#values.length;
  }
}
