/* Money that is exact, ticks, and the one indicator. */
#include "sandpit.h"

bool sp_price(double value, int64_t *price) {
  double scaled = __builtin_fabs(value * 1e9);
  if (!(scaled < 9223372036854775808.0)) return false;
  int64_t nanos = (int64_t)scaled;
  /* Halves go away from zero. */
  if (scaled - (double)nanos >= 0.5) nanos++;
  *price = value < 0 ? -nanos : nanos;
  return true;
}

double sp_to_double(int64_t nanos) { return (double)nanos / 1e9; }

int64_t sp_shares_at(int64_t dollars, int64_t price) {
  return dollars > 0 && price > 0 ? dollars / price * SP_UNIT : 0;
}

int64_t sp_tick(int64_t price) { return price >= SP_UNIT ? 10000000 : 100000; }

int64_t sp_round_down_to_tick(int64_t price) {
  int64_t tick = sp_tick(price), over = price % tick;
  return price - (over < 0 ? over + tick : over);
}

int64_t sp_round_up_to_tick(int64_t price) {
  int64_t down = sp_round_down_to_tick(price);
  return down == price ? down : down + sp_tick(price);
}

bool sp_is_two_sided(const sp_quote *quote) {
  return quote->bid > 0 && quote->ask >= quote->bid && quote->ask < __builtin_inf();
}

bool sp_across(const sp_quote *quote, int side, int64_t *price) {
  if (!sp_is_two_sided(quote) || !sp_price(side == SP_BUY ? quote->ask : quote->bid, price)) return false;
  *price = side == SP_BUY ? sp_round_up_to_tick(*price) : sp_round_down_to_tick(*price);
  return *price > 0;
}

sp_sma sp_sma_new(size_t period) {
  SP_CHECK(period > 0);
  sp_sma sma = {.values = calloc(period, sizeof(double)), .period = period};
  SP_CHECK(sma.values != NULL);
  return sma;
}

/* A running sum drifts as values are added and taken away. So a second sum starts at every wrap of the ring and only
   adds; at the next wrap it covers exactly the ring, and takes over. */
bool sp_sma_push(sp_sma *sma, double value, double *average) {
  double period = (double)sma->period;
  if (__builtin_isfinite(value)) {
    if (sma->next == 0 && !sma->is_full) {
      sma->pivot = sma->fresh_pivot = value;
      sma->sum = sma->fresh_sum = 0;
    }
    double oldest = sma->values[sma->next];
    sma->values[sma->next] = value;
    if (sma->is_full) sma->sum -= oldest - sma->pivot;
    sma->sum += value - sma->pivot;
    sma->fresh_sum += value - sma->fresh_pivot;
    if (++sma->next == sma->period) {
      sma->next = 0;
      sma->is_full = true;
      sma->pivot = sma->fresh_pivot;
      sma->sum = sma->fresh_sum;
      sma->fresh_pivot = sma->pivot + sma->sum / period;
      sma->fresh_sum = 0;
    }
  }
  *average = sma->pivot + sma->sum / period;
  return sma->is_full;
}
