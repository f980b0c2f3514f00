/* The component's exports, and the host's imports in the author's types. */
#include "text.h"

static const sp_strategy *const it = &sandpit_strategy;

void exports_strategy_describe(strategy_description_t *ret) {
  size_t count = 0;
  while (count < SP_INSTRUMENTS_MAX && it->instruments[count]) count++;
  sp_string *symbols = count ? malloc(count * sizeof *symbols) : NULL;
  for (size_t at = 0; at < count; at++) strategy_string_dup(&symbols[at], it->instruments[at]);
  strategy_string_dup(&ret->name, it->name);
  strategy_string_dup(&ret->version, it->version);
  char *schema = sp_schema(it->parameters, it->parameter_count);
  ret->parameters_schema = (sp_string){(uint8_t *)schema, strlen(schema)};
  ret->instruments.ptr = symbols;
  ret->instruments.len = count;
  ret->wants = (uint8_t)it->wants;
  ret->warmup_bars = it->warmup_bars;
}

static bool answered(const char *refusal, sp_string *err) {
  if (!refusal) return true;
  strategy_string_dup(err, refusal);
  return false;
}

/* The symbols stay: the author may keep them. */
bool exports_strategy_init(sp_string *parameters, strategy_list_string_t *instruments, sp_string *err) {
  const char *text = (const char *)parameters->ptr;
  const char *refusal = sp_read_parameters(it->parameters, it->parameter_count, text, parameters->len);
  strategy_string_free(parameters);
  if (!refusal && it->init) refusal = it->init(instruments->ptr, instruments->len);
  return answered(refusal, err);
}

void exports_strategy_on_bar(uint32_t instrument, int64_t start, double open, double high, double low, double close,
                             double volume, strategy_list_intent_t *ret) {
  sp_bar bar = {instrument, start, open, high, low, close, volume};
  if (it->on_bar) it->on_bar(&bar);
  sp_taken(ret);
}

void exports_strategy_on_quote(uint32_t instrument, int64_t at, double bid, double bid_size, double ask,
                               double ask_size, strategy_list_intent_t *ret) {
  sp_quote quote = {instrument, at, bid, bid_size, ask, ask_size};
  if (it->on_quote) it->on_quote(&quote);
  sp_taken(ret);
}

void exports_strategy_on_trade(uint32_t instrument, int64_t at, double price, double size,
                               strategy_list_intent_t *ret) {
  sp_trade trade = {instrument, at, price, size};
  if (it->on_trade) it->on_trade(&trade);
  sp_taken(ret);
}

static void on_order_update(const sp_order_update *update) {
  sp_heard(update->id);
  if (it->on_order_update) it->on_order_update(update);
}

static void on_fill(const sp_fill *fill) {
  sp_heard(fill->id);
  if (it->on_fill) it->on_fill(fill);
}

static void on_refusal(const sp_refusal *refusal) {
  sp_heard(refusal->id);
  if (it->on_refusal) it->on_refusal(refusal);
}

void exports_strategy_on_event(strategy_event_t *event, strategy_list_intent_t *ret) {
  switch (event->tag) {
    case SANDPIT_STRATEGY_TYPES_EVENT_BARS_COMPLETE:
      if (it->on_bars_complete) it->on_bars_complete(event->val.bars_complete);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_ORDER_UPDATE:
      on_order_update(&event->val.order_update);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_FILL:
      on_fill(&event->val.fill);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_REFUSAL:
      on_refusal(&event->val.refusal);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_TIMER:
      if (it->on_timer) it->on_timer(event->val.timer);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_SESSION_OPEN:
      if (it->on_session_open) it->on_session_open(&event->val.session_open);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_SESSION_CLOSE:
      if (it->on_session_close) it->on_session_close(event->val.session_close);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_STREAM_HEALTH:
      if (it->on_stream_health) it->on_stream_health(event->val.stream_health);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_LATE_BAR:
      if (it->on_late_bar) it->on_late_bar(&event->val.late_bar);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_CORRECTED_BAR:
      if (it->on_corrected_bar) it->on_corrected_bar(&event->val.corrected_bar);
      break;
    case SANDPIT_STRATEGY_TYPES_EVENT_NEWS:
      if (it->on_news) it->on_news(&event->val.news);
      break;
  }
  strategy_event_free(event);
  sp_taken(ret);
}

void exports_strategy_save(strategy_list_u8_t *ret) {
  sp_bytes state = it->save ? it->save() : (sp_bytes){0};
  ret->ptr = state.ptr;
  ret->len = state.len;
}

bool exports_strategy_load(sp_string *version, strategy_list_u8_t *state, sp_string *err) {
  const char *refusal = it->load ? it->load(version, state->ptr, state->len) : NULL;
  strategy_string_free(version);
  strategy_list_u8_free(state);
  return answered(refusal, err);
}

void exports_strategy_stop(sp_string *reason) {
  if (it->stop) it->stop(reason);
  strategy_string_free(reason);
}

int64_t sp_now(void) { return sandpit_strategy_host_now(); }

sp_position_t sp_position(uint32_t of) {
  sp_position_t position;
  sandpit_strategy_host_position(of, &position);
  return position;
}

sp_account_t sp_account(void) {
  sp_account_t account;
  sandpit_strategy_host_account(&account);
  return account;
}

bool sp_last_quote(uint32_t of, sp_quote *quote) {
  sandpit_strategy_host_quote_t told;
  if (!sandpit_strategy_host_last_quote(of, &told)) return false;
  *quote = (sp_quote){of, told.time, told.bid, told.bid_size, told.ask, told.ask_size};
  return true;
}

bool sp_fresh_quote(uint32_t of, int64_t max_age, sp_quote *quote) {
  return sp_last_quote(of, quote) && sp_is_two_sided(quote) && sp_now() - quote->time <= max_age;
}

sp_bars sp_history(uint32_t of, uint32_t count) {
  sp_bars bars;
  sandpit_strategy_host_history(of, count, &bars);
  return bars;
}

void sp_bars_free(sp_bars *bars) { sandpit_strategy_types_bars_free(bars); }

uint64_t sp_random(void) { return sandpit_strategy_host_random(); }
