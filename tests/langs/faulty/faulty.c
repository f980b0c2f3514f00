/* Fails on every bar, in the way that its parameter says, or asks for everything that there is. */
#include "sandpit.h"

static double fault;

static const sp_parameter parameters[] = {
    {"fault", SP_INTEGER, &fault, .initial = SP_IS(0), .least = SP_IS(0), .most = SP_IS(6)},
};

__attribute__((noinline)) static void check_it(int bars) { SP_CHECK(bars < 0); }

__attribute__((noinline)) static int divide_by_nothing(volatile int *none) { return 7 / *none; }

__attribute__((noinline)) static void hog(void) {
  for (;;) memset(malloc(1 << 20), 1, 1 << 20);
}

/* More than a number on the stack, so that it is the stack in memory that overflows. */
__attribute__((noinline)) static int deeper(int depth) {
  volatile int kept[64];
  kept[depth % 64] = depth;
  return depth < 0 ? 0 : deeper(depth + 1) + kept[depth % 64];
}

static int64_t price(double value) {
  int64_t nanos;
  SP_CHECK(sp_price(value, &nanos));
  return nanos;
}

static void ask_for_exits(void) {
  sp_submit stop = sp_order(0, SP_SELL, SP_SHARES(5)), trail = stop, percent = stop;
  sp_stop(&stop, price(99));
  sp_send(&stop);
  sp_trail(&trail, price(1.5));
  sp_send(&trail);
  sp_trail_percent(&percent, price(2));
  sp_send(&percent);
}

static void ask_for_classes(void) {
  sp_submit bracket = sp_order(0, SP_BUY, SP_SHARES(10)), oco = sp_order(0, SP_SELL, SP_SHARES(10));
  sp_limit(&bracket, price(100));
  sp_bracket(&bracket, price(110), (sp_stop_loss){price(90), {true, price(89)}});
  sp_send(&bracket);
  sp_limit(&oco, price(120));
  sp_oco(&oco, sp_loss_at(price(80)));
  sp_send(&oco);
  sp_submit profit = sp_order(0, SP_BUY, SP_SHARES(1)), loss = profit;
  sp_oto_take_profit(&profit, price(130));
  sp_send(&profit);
  sp_oto_stop_loss(&loss, sp_loss_at(price(70)));
  loss.time_in_force = SP_GTC;
  sp_send(&loss);
}

static void ask_for_everything(void) {
  sp_submit first = sp_order(0, SP_BUY, SP_SHARES(10));
  sp_limit(&first, price(101));
  sp_stop(&first, price(100));
  first.time_in_force = SP_GTC;
  uint64_t id = sp_send(&first);
  ask_for_exits();
  sp_submit dollars = sp_order_for(0, SP_BUY, price(500));
  dollars.time_to_live_ms = 5000;
  sp_send(&dollars);
  ask_for_classes();
  sp_submit repriced = sp_order(0, SP_BUY, SP_SHARES(10)), late = repriced;
  sp_limit(&repriced, price(100));
  repriced.reprice.is_some = true;
  repriced.reprice.val = price(100.5);
  repriced.time_in_force = SP_FOK;
  sp_send(&repriced);
  sp_limit(&late, price(100));
  late.extended_hours = true;
  sp_send(&late);
  sp_replace replace = {.id = id, .quantity = {true, SP_SHARES(12)}, .limit = {true, price(102)},
                        .stop = {true, price(101)}, .time_to_live_ms = 1000};
  sp_send_replace(&replace);
  sp_close_position(0);
  sp_cancel(id);
  sp_cancel_all();
  sp_set_timer(3, sp_now() + SP_SECOND);
  sp_cancel_timer(4);
  sp_open_orders open = sp_open_of(0);
  sp_bars bars = sp_history(0, 9);
  sp_signal(0, "%d open, %d bars, %u", (int)open.len, (int)bars.close.len, sp_random());
  sp_bars_free(&bars);
  sp_open_free(&open);
  sp_signal(SP_NO_INSTRUMENT, "");
}

static void on_bar(const sp_bar *bar) {
  (void)bar;
  volatile int none = 0;
  switch ((int)fault) {
    case 1:
      check_it(1);
      break;
    case 2:
      for (;;) none++;
    case 3:
      hog();
      break;
    case 4:
      none = deeper(0);
      break;
    case 5:
      none = divide_by_nothing(&none);
      break;
    case 6:
      ask_for_everything();
      break;
  }
}

const sp_strategy sandpit_strategy = {
    .name = "faulty",
    .version = "1",
    .parameters = parameters,
    .parameter_count = 1,
    .instruments = {"SPY"},
    .wants = SP_BARS,
    .on_bar = on_bar,
};
