/* Fails on every bar, in the way that its parameter says. */
#include "sandpit.h"

static double fault;

static const sp_parameter parameters[] = {
    {"fault", SP_INTEGER, &fault, .initial = SP_IS(0), .least = SP_IS(0), .most = SP_IS(5)},
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
