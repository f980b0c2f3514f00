/*
 * What a strategy author in C uses: one table of handlers, orders as values, money that is exact.
 *
 * Define `const sp_strategy sandpit_strategy = {…}` with the handlers that matter; state lies in static variables.
 *
 * Money, prices and shares are int64_t in units of 10^-9, as they cross the interface: `sp_price(167.41, &price)` and
 * `SP_SHARES(10)` make them, %m shows them in a format, `sp_to_double` gives the nearest float. Market data (bars,
 * quotes, trades) are doubles, in US dollars a share. Times are nanoseconds since 1970, UTC. The words of orders and
 * events are those of strategy.wit, as strategy.h has them.
 *
 * There is no C library but malloc and free, memcpy and its kin. A format knows %s (char *), %d (int), %u (uint64_t),
 * %m (int64_t, money as a decimal) and %%.
 */
#ifndef SANDPIT_H
#define SANDPIT_H

#include <stdlib.h>
#include <string.h>

#include "strategy.h"

typedef sandpit_strategy_types_bar_t sp_bar;
typedef sandpit_strategy_types_news_t sp_news;
typedef sandpit_strategy_types_order_update_t sp_order_update;
typedef sandpit_strategy_types_fill_t sp_fill;
typedef sandpit_strategy_types_refusal_t sp_refusal;
typedef sandpit_strategy_types_session_t sp_session;
typedef sandpit_strategy_types_open_order_t sp_open_order;
typedef sandpit_strategy_types_position_t sp_position_t;
typedef sandpit_strategy_types_account_t sp_account_t;
typedef sandpit_strategy_types_bars_t sp_bars;
typedef sandpit_strategy_types_submit_t sp_submit;
typedef sandpit_strategy_types_replace_t sp_replace;
typedef sandpit_strategy_types_stop_loss_t sp_stop_loss;
typedef strategy_string_t sp_string;

typedef struct {
  uint32_t instrument;
  int64_t time;
  double bid, bid_size, ask, ask_size;
} sp_quote;

typedef struct {
  uint32_t instrument;
  int64_t time;
  double price, size;
} sp_trade;

/* ---- the strategy ---- */

/* What a parameter may be; one that is not set and has no default is NAN. */
typedef enum { SP_INTEGER, SP_NUMBER, SP_BOOLEAN } sp_type;

typedef struct {
  bool is_set;
  double is;
} sp_bound;

#define SP_IS(value) \
  { true, value }

typedef struct {
  const char *name;
  sp_type type;
  double *value;
  sp_bound initial, least, above, most;
  const char *description;
} sp_parameter;

enum {
  SP_BARS = SANDPIT_STRATEGY_TYPES_EVENT_KINDS_BAR,
  SP_QUOTES = SANDPIT_STRATEGY_TYPES_EVENT_KINDS_QUOTE,
  SP_TRADES = SANDPIT_STRATEGY_TYPES_EVENT_KINDS_TRADE,
  SP_NEWS = SANDPIT_STRATEGY_TYPES_EVENT_KINDS_NEWS,
};

#define SP_INSTRUMENTS_MAX 32

typedef struct {
  uint8_t *ptr;
  size_t len;
} sp_bytes;

/* A trading strategy: a deterministic function of what it is told. A handler that is not there does nothing. */
typedef struct {
  const char *name;
  const char *version;
  const sp_parameter *parameters;
  size_t parameter_count;
  /* The symbols it wants when the operator names none, up to the first NULL. */
  const char *instruments[SP_INSTRUMENTS_MAX];
  int wants;
  /* Bars of history it wants delivered, intents ignored, before the first live event. */
  uint32_t warmup_bars;

  /* Starts, with parameters that were read and checked; an instrument is an index into these symbols. Returns NULL, or
     why it refuses: the operator reads that. */
  const char *(*init)(const sp_string *symbols, size_t count);
  void (*on_bar)(const sp_bar *bar);
  /* A bar came after its turn; history has it at its place already. */
  void (*on_late_bar)(const sp_bar *bar);
  /* A bar delivered before has other figures; history has them already. */
  void (*on_corrected_bar)(const sp_bar *bar);
  void (*on_quote)(const sp_quote *quote);
  void (*on_trade)(const sp_trade *trade);
  /* Every bar of the minute that starts then is in. */
  void (*on_bars_complete)(int64_t start);
  void (*on_order_update)(const sp_order_update *update);
  void (*on_fill)(const sp_fill *fill);
  /* An order of ours was not sent. */
  void (*on_refusal)(const sp_refusal *refusal);
  void (*on_timer)(uint64_t id);
  void (*on_session_open)(const sp_session *session);
  void (*on_session_close)(int64_t at);
  void (*on_stream_health)(int health);
  void (*on_news)(const sp_news *news);
  /* State to carry over a restart, in memory of malloc. */
  sp_bytes (*save)(void);
  /* Takes it back, possibly of an older version. Returns NULL, or why it is of no use. */
  const char *(*load)(const sp_string *version, const uint8_t *state, size_t size);
  void (*stop)(const sp_string *reason);
} sp_strategy;

/* The strategy of this component: every author defines it. */
extern const sp_strategy sandpit_strategy;

/* ---- what the host knows ---- */

int64_t sp_now(void);
sp_position_t sp_position(uint32_t of);
sp_account_t sp_account(void);
/* The newest quote; false when there was none. */
bool sp_last_quote(uint32_t of, sp_quote *quote);
/* The newest quote if it has both sides and is no older than that, nanoseconds. */
bool sp_fresh_quote(uint32_t of, int64_t max_age, sp_quote *quote);
/* The last complete one-minute bars, at most 1,000, oldest first; give them back. */
sp_bars sp_history(uint32_t of, uint32_t count);
void sp_bars_free(sp_bars *bars);
/* A seeded random number; the same again in a replay. */
uint64_t sp_random(void);

typedef struct {
  sp_open_order *ptr;
  size_t len;
} sp_open_orders;

/* Our orders that may still fill, those just sent included; give them back. */
sp_open_orders sp_open(void);
sp_open_orders sp_open_of(uint32_t instrument);
void sp_open_free(sp_open_orders *orders);

/* ---- what the strategy wants ---- */

enum { SP_BUY = SANDPIT_STRATEGY_TYPES_SIDE_BUY, SP_SELL = SANDPIT_STRATEGY_TYPES_SIDE_SELL };
enum { SP_DAY, SP_GTC, SP_IOC, SP_FOK };

/* An order for that many shares, a day order at the market. Change it, then `sp_send` it. */
sp_submit sp_order(uint32_t instrument, int side, int64_t shares);
/* The same for an amount of dollars. */
sp_submit sp_order_for(uint32_t instrument, int side, int64_t dollars);
/* At this price or better. With a stop it makes a stop-limit order. Prices are whole numbers of ticks. */
void sp_limit(sp_submit *order, int64_t price);
/* Sleeps until a trade is at this price or beyond. With a limit it makes a stop-limit order. */
void sp_stop(sp_submit *order, int64_t price);
/* Sleeps until the price has turned back from its best by that much. */
void sp_trail(sp_submit *order, int64_t by);
void sp_trail_percent(sp_submit *order, int64_t by);
sp_stop_loss sp_loss_at(int64_t stop);
/* Once it has filled wholly, two exits of which one cancels the other. */
void sp_bracket(sp_submit *order, int64_t take_profit, sp_stop_loss loss);
/* It is an exit, a limit order, and here is another one: one cancels the other. */
void sp_oco(sp_submit *order, sp_stop_loss loss);
void sp_oto_take_profit(sp_submit *order, int64_t price);
void sp_oto_stop_loss(sp_submit *order, sp_stop_loss loss);
/* Sends it and tells its id, which no other order of this strategy has. */
uint64_t sp_send(const sp_submit *order);

/* An order in the place of a working one; what is not set stays. A refusal bears the new id. */
sp_replace sp_replace_of(uint64_t id);
uint64_t sp_send_replace(const sp_replace *replace);

/* Leaves a symbol: the host cancels our orders in it, then sells or buys back what is held. Tells the id. */
uint64_t sp_close_position(uint32_t instrument);
/* Wants one order cancelled, and its legs. It may still fill until an update says otherwise. */
void sp_cancel(uint64_t id);
void sp_cancel_all(void);
/* Setting the same id again moves the timer. */
void sp_set_timer(uint64_t id, int64_t at);
void sp_cancel_timer(uint64_t id);

#define SP_NO_INSTRUMENT UINT32_MAX
/* Records a decision and its reason, for post-mortems. */
void sp_signal(uint32_t instrument, const char *format, ...);

enum { SP_DEBUG, SP_INFO, SP_WARN, SP_ERROR };
/* A line in the host's log, cut at 1 KiB. */
void sp_log(int level, const char *format, ...);
/* Text in memory of malloc. */
char *sp_text(const char *format, ...);
/* A text of the host as one of C, in memory of malloc. */
char *sp_text_of(const sp_string *text);
/* Whether a text of the host is this one. */
bool sp_is(const sp_string *text, const char *other);

/* Ends the strategy with a line in the log that says where and why: a strike. */
#define SP_FAIL(...) sp_fail(__FILE__, __LINE__, __func__, __VA_ARGS__)
/* Ends it unless that holds. */
#define SP_CHECK(holds) ((holds) ? (void)0 : SP_FAIL("%s does not hold", #holds))
_Noreturn void sp_fail(const char *file, int line, const char *function, const char *format, ...);

/* ---- money ---- */

#define SP_UNIT INT64_C(1000000000)
#define SP_SECOND INT64_C(1000000000)
#define SP_MINUTE (60 * SP_SECOND)
#define SP_SHARES(count) ((int64_t)(count)*SP_UNIT)

/* The nearest money to a float of market data; false when that is not finite or does not fit. */
bool sp_price(double value, int64_t *price);
/* The nearest float: for figures and ratios, never for orders. */
double sp_to_double(int64_t nanos);
/* How many whole shares these dollars pay for; zero when either is not above zero. */
int64_t sp_shares_at(int64_t dollars, int64_t price);
/* 0.01 USD from 1 USD upwards, 0.0001 USD below. */
int64_t sp_tick(int64_t price);
int64_t sp_round_down_to_tick(int64_t price);
int64_t sp_round_up_to_tick(int64_t price);
bool sp_is_two_sided(const sp_quote *quote);
/* The limit price that trades at once: the other side of the spread, on a tick; false for a broken quote. */
bool sp_across(const sp_quote *quote, int side, int64_t *price);

/* ---- indicators ---- */

/* The simple moving average of the last `period` values, in constant time and without drift. */
typedef struct {
  double *values;
  size_t period, next;
  bool is_full;
  double pivot, sum, fresh_pivot, fresh_sum;
} sp_sma;

sp_sma sp_sma_new(size_t period);
/* Takes the next value, unless it is not finite. Whether there is an average now, and which. */
bool sp_sma_push(sp_sma *sma, double value, double *average);

#endif
