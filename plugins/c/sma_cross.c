/*
 * Follows the trend, long only: buys when a fast moving average of the closes crosses above a slow one, sells when it
 * is below again. One position and at most one open order a symbol.
 *
 * Orders are limits across the spread, or market orders where there is no quote. One that is still open at the next
 * bar is cancelled. An entry that does not come about is tried again at the next bars, a few times; an exit for ever.
 */
#include "sandpit.h"

/* How often an entry is tried before the cross counts as missed. */
enum { MAX_ENTRY_TRIES = 3 };
/* An order that waits longer than this in the host's queue is of no use: the next bar decides anew. */
enum { TIME_TO_LIVE_MS = 30000 };
/* The longest average, in bars: a trading day. */
enum { MAX_BARS = 390 };

static double fast, slow, fraction, usd, flatten_before_close_minutes;

static const sp_parameter parameters[] = {
    {"fast", SP_INTEGER, &fast, .initial = SP_IS(5), .least = SP_IS(1), .most = SP_IS(389),
     .description = "Bars in the fast average; fewer than in the slow one."},
    {"slow", SP_INTEGER, &slow, .initial = SP_IS(20), .least = SP_IS(2), .most = SP_IS(MAX_BARS),
     .description = "Bars in the slow average."},
    {"fraction", SP_NUMBER, &fraction, .initial = SP_IS(0.05), .above = SP_IS(0), .most = SP_IS(1),
     .description = "Share of the equity that one position may cost when it is opened."},
    {"usd", SP_NUMBER, &usd, .above = SP_IS(0), .most = SP_IS(1000000000),
     .description = "US dollars that one position may cost when it is opened, instead of fraction."},
    {"flatten_before_close_minutes", SP_INTEGER, &flatten_before_close_minutes, .least = SP_IS(1), .most = SP_IS(389),
     .description = "Minutes before the session's close from which on positions are sold and none is opened."},
};

typedef enum { UNKNOWN, ABOVE, BELOW } trend;

/* One symbol's averages, and the entry that is due. */
typedef struct {
  sp_sma fast, slow;
  /* Where the fast average was at the last bar. */
  trend was;
  /* Tries left of an entry whose cross has come and whose position has not. */
  int tries;
} averages;

static averages *symbols;
/* When the session closes; 0 while nothing is known of it. */
static int64_t closes_at;
static bool is_closed;

static const char *init(const sp_string *names, size_t count) {
  (void)names;
  if (fast >= slow) return sp_text("parameters: fast must be below slow, not %d and %d", (int)fast, (int)slow);
  symbols = calloc(count, sizeof *symbols);
  SP_CHECK(symbols != NULL);
  for (size_t at = 0; at < count; at++) {
    symbols[at].fast = sp_sma_new((size_t)fast);
    symbols[at].slow = sp_sma_new((size_t)slow);
  }
  return NULL;
}

/* Takes the next close. A cross upwards makes an entry due, a cross downwards takes it back. */
static trend on_close(averages *symbol, double close) {
  double quick, steady;
  bool is_quick_known = sp_sma_push(&symbol->fast, close, &quick);
  bool is_steady_known = sp_sma_push(&symbol->slow, close, &steady);
  if (!is_quick_known || !is_steady_known) return UNKNOWN;
  trend now = quick > steady ? ABOVE : BELOW;
  if (symbol->was == BELOW && now == ABOVE) symbol->tries = MAX_ENTRY_TRIES;
  if (now == BELOW) symbol->tries = 0;
  symbol->was = now;
  return now;
}

/* Whether it is so late in the session that positions are only sold. */
static bool is_late(void) {
  if (!(flatten_before_close_minutes > 0) || closes_at == 0 || is_closed) return false;
  return closes_at - sp_now() <= (int64_t)flatten_before_close_minutes * SP_MINUTE;
}

/* The price across the spread, on a tick; false without a quote of both sides. */
static bool marketable(uint32_t instrument, int side, int64_t *price) {
  sp_quote quote;
  return sp_last_quote(instrument, &quote) && sp_across(&quote, side, price);
}

static int64_t budget(void) {
  int64_t dollars;
  double wanted = usd > 0 ? usd : sp_to_double(sp_account().equity) * fraction;
  return sp_price(wanted, &dollars) ? dollars : 0;
}

static void send(uint32_t instrument, int side, int64_t quantity, const int64_t *limit) {
  sp_submit order = sp_order(instrument, side, quantity);
  order.time_to_live_ms = TIME_TO_LIVE_MS;
  if (limit) sp_limit(&order, *limit);
  sp_send(&order);
}

static void enter(const sp_bar *bar) {
  averages *symbol = &symbols[bar->instrument];
  if (symbol->tries == 0) return;
  symbol->tries--;
  int64_t price;
  bool has_limit = marketable(bar->instrument, SP_BUY, &price);
  if (!has_limit && !sp_price(bar->close, &price)) return;
  int64_t quantity = sp_shares_at(budget(), price);
  if (quantity == 0) {
    sp_signal(bar->instrument, "crossed up, but the budget buys no share at %m", price);
    return;
  }
  sp_signal(bar->instrument, "crossed up: buying %m at %m", quantity, price);
  send(bar->instrument, SP_BUY, quantity, has_limit ? &price : NULL);
}

static void leave(const sp_bar *bar, int64_t held) {
  sp_signal(bar->instrument, "below, or late in the session: selling %m", held);
  int64_t price;
  bool has_limit = marketable(bar->instrument, SP_SELL, &price);
  send(bar->instrument, SP_SELL, held, has_limit ? &price : NULL);
}

static void on_bar(const sp_bar *bar) {
  trend now = on_close(&symbols[bar->instrument], bar->close);
  sp_open_orders open = sp_open_of(bar->instrument);
  size_t open_count = open.len;
  for (size_t at = 0; at < open_count; at++) sp_cancel(open.ptr[at].id);
  sp_open_free(&open);
  if (open_count > 0 || is_closed) return;
  int64_t held = sp_position(bar->instrument).quantity;
  if (held > 0 && (now == BELOW || is_late())) {
    leave(bar, held);
  } else if (held == 0 && now == ABOVE && !is_late()) {
    enter(bar);
  }
}

static void on_order_update(const sp_order_update *update) {
  if (update->status == SANDPIT_STRATEGY_TYPES_ORDER_STATUS_REJECTED) {
    sp_signal(update->instrument, "the broker rejected the order; the next bar decides anew");
  }
}

static void on_fill(const sp_fill *fill) {
  if (fill->side == SP_BUY) symbols[fill->instrument].tries = 0;
}

static void on_refusal(const sp_refusal *refusal) {
  /* The answer to a cancel that came too late. */
  if (sp_is(&refusal->reason, "unknown-order")) return;
  char *reason = sp_text_of(&refusal->reason);
  sp_signal(SP_NO_INSTRUMENT, "order %u refused: %s; the next bar decides anew", refusal->id, reason);
  free(reason);
  if (sp_is(&refusal->reason, "session-closed")) is_closed = true;
}

static void on_session_open(const sp_session *session) {
  closes_at = session->close;
  is_closed = false;
}

static void on_session_close(int64_t at) {
  (void)at;
  is_closed = true;
}

const sp_strategy sandpit_strategy = {
    .name = "SMA cross, in C",
    .version = "0.1.0",
    .parameters = parameters,
    .parameter_count = sizeof parameters / sizeof *parameters,
    .instruments = {"SPY"},
    /* Quotes are wanted to price orders, not to act on. */
    .wants = SP_BARS | SP_QUOTES,
    /* Enough whatever the parameters: they are not known yet when it is asked. */
    .warmup_bars = MAX_BARS,
    .init = init,
    .on_bar = on_bar,
    .on_order_update = on_order_update,
    .on_fill = on_fill,
    .on_refusal = on_refusal,
    .on_session_open = on_session_open,
    .on_session_close = on_session_close,
};
