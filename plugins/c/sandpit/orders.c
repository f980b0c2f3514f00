/* Orders: how they are written, and which of them are open though the host has not answered yet. */
#include "text.h"

/* How long past its time to live an order counts as open though the host has said nothing of it, nanoseconds. The host
   answers every order with an update or a refusal, so silence means that it was not taken, as during warm-up. */
#define UNHEARD_FOR (120 * SP_SECOND)
#define MILLISECOND INT64_C(1000000)

/* Orders remembered until the host answers; beyond it the oldest is forgotten. */
enum { MAX_UNHEARD = 1024 };

enum {
  MARKET = SANDPIT_STRATEGY_TYPES_ORDER_KIND_MARKET,
  LIMIT = SANDPIT_STRATEGY_TYPES_ORDER_KIND_LIMIT,
  STOP = SANDPIT_STRATEGY_TYPES_ORDER_KIND_STOP,
  STOP_LIMIT = SANDPIT_STRATEGY_TYPES_ORDER_KIND_STOP_LIMIT,
  TRAILING_STOP = SANDPIT_STRATEGY_TYPES_ORDER_KIND_TRAILING_STOP,
};

typedef sandpit_strategy_types_order_kind_t order_kind;
typedef strategy_intent_t intent;

static struct {
  intent *ptr;
  size_t len, capacity;
} wanted;

static struct unheard {
  sp_open_order order;
  int64_t until;
} unheard[MAX_UNHEARD];
static size_t unheard_count;
static uint64_t last_id;

static intent *want(uint8_t tag) {
  if (wanted.len == wanted.capacity) {
    wanted.capacity = wanted.capacity ? wanted.capacity * 2 : 8;
    intent *grown = realloc(wanted.ptr, wanted.capacity * sizeof(intent));
    SP_CHECK(grown != NULL);
    wanted.ptr = grown;
  }
  intent *next = &wanted.ptr[wanted.len++];
  next->tag = tag;
  return next;
}

/* The list goes to the host, which gives it back to free. */
void sp_taken(strategy_list_intent_t *intents) {
  intents->ptr = wanted.ptr;
  intents->len = wanted.len;
  if (wanted.len == 0) return;
  wanted.ptr = NULL;
  wanted.len = wanted.capacity = 0;
}

/* Ids count up from the microsecond of the event, so that a strategy that was restarted within a session does not
   repeat an id of its earlier life, and a replay gives the same ids again. */
static uint64_t next_id(void) {
  int64_t now = sp_now();
  uint64_t microsecond = now > 0 ? (uint64_t)now / 1000 : 0;
  last_id = microsecond > last_id ? microsecond : last_id + 1;
  return last_id;
}

static void remember(sp_open_order order, uint32_t time_to_live_ms) {
  if (unheard_count == MAX_UNHEARD) {
    memmove(unheard, unheard + 1, (MAX_UNHEARD - 1) * sizeof *unheard);
    unheard_count--;
  }
  int64_t until = sp_now() + time_to_live_ms * MILLISECOND + UNHEARD_FOR;
  unheard[unheard_count++] = (struct unheard){order, until};
}

void sp_heard(uint64_t id) {
  size_t kept = 0;
  for (size_t at = 0; at < unheard_count; at++) {
    if (unheard[at].order.id != id) unheard[kept++] = unheard[at];
  }
  unheard_count = kept;
}

/* ---- writing ---- */

sp_submit sp_order(uint32_t instrument, int side, int64_t shares) {
  sp_submit order = {.instrument = instrument, .side = (uint8_t)side};
  order.amount.tag = SANDPIT_STRATEGY_TYPES_AMOUNT_SHARES;
  order.amount.val.shares = shares;
  return order;
}

sp_submit sp_order_for(uint32_t instrument, int side, int64_t dollars) {
  sp_submit order = sp_order(instrument, side, 0);
  order.amount.tag = SANDPIT_STRATEGY_TYPES_AMOUNT_NOTIONAL;
  order.amount.val.notional = dollars;
  return order;
}

void sp_limit(sp_submit *order, int64_t price) {
  order_kind *kind = &order->kind;
  if (kind->tag == STOP || kind->tag == STOP_LIMIT) {
    int64_t stop = kind->tag == STOP ? kind->val.stop : kind->val.stop_limit.stop;
    *kind = (order_kind){.tag = STOP_LIMIT, .val.stop_limit = {stop, price}};
  } else {
    *kind = (order_kind){.tag = LIMIT, .val.limit = price};
  }
}

void sp_stop(sp_submit *order, int64_t price) {
  order_kind *kind = &order->kind;
  if (kind->tag == LIMIT || kind->tag == STOP_LIMIT) {
    int64_t limit = kind->tag == LIMIT ? kind->val.limit : kind->val.stop_limit.limit;
    *kind = (order_kind){.tag = STOP_LIMIT, .val.stop_limit = {price, limit}};
  } else {
    *kind = (order_kind){.tag = STOP, .val.stop = price};
  }
}

void sp_trail(sp_submit *order, int64_t by) {
  order->kind.tag = TRAILING_STOP;
  order->kind.val.trailing_stop.tag = SANDPIT_STRATEGY_TYPES_TRAIL_PRICE;
  order->kind.val.trailing_stop.val.price = by;
}

void sp_trail_percent(sp_submit *order, int64_t by) {
  order->kind.tag = TRAILING_STOP;
  order->kind.val.trailing_stop.tag = SANDPIT_STRATEGY_TYPES_TRAIL_PERCENT;
  order->kind.val.trailing_stop.val.percent = by;
}

sp_stop_loss sp_loss_at(int64_t stop) { return (sp_stop_loss){.stop = stop}; }

void sp_bracket(sp_submit *order, int64_t take_profit, sp_stop_loss loss) {
  order->class_.tag = SANDPIT_STRATEGY_TYPES_ORDER_CLASS_BRACKET;
  order->class_.val.bracket.take_profit = take_profit;
  order->class_.val.bracket.stop_loss = loss;
}

void sp_oco(sp_submit *order, sp_stop_loss loss) {
  order->class_.tag = SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OCO;
  order->class_.val.oco = loss;
}

void sp_oto_take_profit(sp_submit *order, int64_t price) {
  order->class_.tag = SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OTO_TAKE_PROFIT;
  order->class_.val.oto_take_profit = price;
}

void sp_oto_stop_loss(sp_submit *order, sp_stop_loss loss) {
  order->class_.tag = SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OTO_STOP_LOSS;
  order->class_.val.oto_stop_loss = loss;
}

/* ---- sending ---- */

static sp_open_order pending(const sp_submit *order) {
  bool is_shares = order->amount.tag == SANDPIT_STRATEGY_TYPES_AMOUNT_SHARES;
  return (sp_open_order){
      .id = order->id,
      .instrument = order->instrument,
      .side = order->side,
      .quantity = is_shares ? order->amount.val.shares : 0,
      .kind = order->kind,
      .status = SANDPIT_STRATEGY_TYPES_ORDER_STATUS_PENDING,
  };
}

static void remember_leg(const sp_submit *order, uint8_t leg, uint8_t side, order_kind kind) {
  sp_open_order held = pending(order);
  held.leg.is_some = true;
  held.leg.val = leg;
  held.side = side;
  held.kind = kind;
  held.status = SANDPIT_STRATEGY_TYPES_ORDER_STATUS_HELD;
  remember(held, order->time_to_live_ms);
}

static void remember_profit(const sp_submit *order, uint8_t side, int64_t price) {
  order_kind kind = {.tag = LIMIT, .val.limit = price};
  remember_leg(order, SANDPIT_STRATEGY_TYPES_LEG_TAKE_PROFIT, side, kind);
}

static void remember_loss(const sp_submit *order, uint8_t side, const sp_stop_loss *loss) {
  order_kind kind = {.tag = STOP, .val.stop = loss->stop};
  if (loss->limit.is_some) kind = (order_kind){.tag = STOP_LIMIT, .val.stop_limit = {loss->stop, loss->limit.val}};
  remember_leg(order, SANDPIT_STRATEGY_TYPES_LEG_STOP_LOSS, side, kind);
}

uint64_t sp_send(const sp_submit *order) {
  sp_submit sent = *order;
  sent.id = next_id();
  uint8_t opposite = sent.side == SP_BUY ? SP_SELL : SP_BUY;
  remember(pending(&sent), sent.time_to_live_ms);
  switch (sent.class_.tag) {
    case SANDPIT_STRATEGY_TYPES_ORDER_CLASS_BRACKET:
      remember_profit(&sent, opposite, sent.class_.val.bracket.take_profit);
      remember_loss(&sent, opposite, &sent.class_.val.bracket.stop_loss);
      break;
    case SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OCO:
      remember_loss(&sent, sent.side, &sent.class_.val.oco);
      break;
    case SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OTO_TAKE_PROFIT:
      remember_profit(&sent, opposite, sent.class_.val.oto_take_profit);
      break;
    case SANDPIT_STRATEGY_TYPES_ORDER_CLASS_OTO_STOP_LOSS:
      remember_loss(&sent, opposite, &sent.class_.val.oto_stop_loss);
      break;
  }
  want(SANDPIT_STRATEGY_TYPES_INTENT_SUBMIT)->val.submit = sent;
  return sent.id;
}

sp_replace sp_replace_of(uint64_t id) { return (sp_replace){.id = id}; }

/* A kind with the prices that a replacement changes. */
static order_kind changed(order_kind kind, const sp_replace *by) {
  if (kind.tag == LIMIT && by->limit.is_some) kind.val.limit = by->limit.val;
  if (kind.tag == STOP && by->stop.is_some) kind.val.stop = by->stop.val;
  if (kind.tag == STOP_LIMIT && by->stop.is_some) kind.val.stop_limit.stop = by->stop.val;
  if (kind.tag == STOP_LIMIT && by->limit.is_some) kind.val.stop_limit.limit = by->limit.val;
  return kind;
}

uint64_t sp_send_replace(const sp_replace *replace) {
  sp_replace sent = *replace;
  sent.new_id = next_id();
  sp_open_orders open = sp_open();
  for (size_t at = 0; at < open.len; at++) {
    sp_open_order order = open.ptr[at];
    if (order.id != sent.id || order.leg.is_some) continue;
    order.id = sent.new_id;
    order.kind = changed(order.kind, &sent);
    order.status = SANDPIT_STRATEGY_TYPES_ORDER_STATUS_PENDING;
    if (sent.quantity.is_some) order.quantity = sent.quantity.val;
    remember(order, sent.time_to_live_ms);
    break;
  }
  sp_open_free(&open);
  want(SANDPIT_STRATEGY_TYPES_INTENT_REPLACE)->val.replace = sent;
  return sent.new_id;
}

uint64_t sp_close_position(uint32_t instrument) {
  int64_t held = sp_position(instrument).quantity;
  sp_submit order = sp_order(instrument, held > 0 ? SP_SELL : SP_BUY, held > 0 ? held : -held);
  order.id = next_id();
  remember(pending(&order), 0);
  intent *leaving = want(SANDPIT_STRATEGY_TYPES_INTENT_CLOSE_POSITION);
  leaving->val.close_position.id = order.id;
  leaving->val.close_position.instrument = instrument;
  return order.id;
}

void sp_cancel(uint64_t id) { want(SANDPIT_STRATEGY_TYPES_INTENT_CANCEL)->val.cancel = id; }

void sp_cancel_all(void) { want(SANDPIT_STRATEGY_TYPES_INTENT_CANCEL_ALL); }

void sp_set_timer(uint64_t id, int64_t at) {
  intent *timer = want(SANDPIT_STRATEGY_TYPES_INTENT_SET_TIMER);
  timer->val.set_timer.id = id;
  timer->val.set_timer.at = at;
}

void sp_cancel_timer(uint64_t id) { want(SANDPIT_STRATEGY_TYPES_INTENT_CANCEL_TIMER)->val.cancel_timer = id; }

void sp_signal(uint32_t instrument, const char *format, ...) {
  sp_writer reason = {0};
  va_list values;
  va_start(values, format);
  sp_write_list(&reason, format, values);
  va_end(values);
  intent *signal = want(SANDPIT_STRATEGY_TYPES_INTENT_SIGNAL);
  signal->val.signal.instrument.is_some = instrument != SP_NO_INSTRUMENT;
  signal->val.signal.instrument.val = instrument;
  signal->val.signal.reason = (sp_string){(uint8_t *)reason.ptr, reason.len};
}

/* ---- reading ---- */

static bool is_listed(const sp_open_orders *open, const sp_open_order *order) {
  for (size_t at = 0; at < open->len; at++) {
    const sp_open_order *known = &open->ptr[at];
    bool is_same_leg = known->leg.is_some == order->leg.is_some &&
                       (!known->leg.is_some || known->leg.val == order->leg.val);
    if (known->id == order->id && is_same_leg) return true;
  }
  return false;
}

sp_open_orders sp_open(void) {
  sandpit_strategy_host_list_open_order_t told;
  sandpit_strategy_host_open_orders(&told);
  sp_open_orders open = {told.len ? told.ptr : NULL, told.len};
  if (unheard_count == 0) return open;
  open.ptr = realloc(open.ptr, (told.len + unheard_count) * sizeof *open.ptr);
  SP_CHECK(open.ptr != NULL);
  int64_t now = sp_now();
  for (size_t at = 0; at < unheard_count; at++) {
    if (now < unheard[at].until && !is_listed(&open, &unheard[at].order)) open.ptr[open.len++] = unheard[at].order;
  }
  return open;
}

sp_open_orders sp_open_of(uint32_t instrument) {
  sp_open_orders open = sp_open();
  size_t kept = 0;
  for (size_t at = 0; at < open.len; at++) {
    if (open.ptr[at].instrument == instrument) open.ptr[kept++] = open.ptr[at];
  }
  open.len = kept;
  return open;
}

void sp_open_free(sp_open_orders *orders) {
  free(orders->ptr);
  *orders = (sp_open_orders){0};
}
