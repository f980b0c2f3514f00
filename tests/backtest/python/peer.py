"""What the peers share: arguments, the bars, the strategy's rule, and the line of JSON they print.

The rule is that of `plugins/ema_cross` (src/rule.rs, src/lib.rs), with its defaults:

* An average begins with the first close, then is alpha * close + (1 - alpha) * average, alpha = 2 / (n +
  1).
* A decision needs `slow` bars. If the fast average was not above the slow one at the last bar and is now, a
  purchase is due; the other way round a sale. What becomes due takes the place of what was due and has not
  been done.
* With --every N instead: at each N-th bar an order is due, a purchase if nothing is held, else a sale.
* What is due is done at the close of the bar, at the market; but in the last minute of a session it waits
  for the first bar of the next. A purchase of 100 shares is made only if nothing is held, a sale only of
  what is held: long or flat, since the host refuses what would leave a position short.

The line printed: `seconds` of the run alone, `load_seconds` before it (reading the file, making the
program's own bars), `import_seconds`, `bars`, `orders` (sent), `fills` (orders filled), `round_trips`,
`position` (shares, at the end), `equity` (USD, what is held at the last close), `rss_mb` (the most this
process ever had), `peer` and `version`.
"""

import argparse
import json
import resource
import time

SHARES = 100
CASH = 10_000_000
MINUTES_A_DAY = 390


def arguments(what):
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--bars", required=True, help="a CSV file as bars.py writes it, of one symbol")
    parser.add_argument("--fast", type=int, default=10)
    parser.add_argument("--slow", type=int, default=20)
    parser.add_argument("--every", type=int, default=0, help="an order each so many bars; 0: each cross")
    parser.add_argument("--repeat", type=int, default=1, help="runs; the quickest is told")
    said = parser.parse_args()
    if not 1 <= said.fast < said.slow:
        parser.error("--fast has to be below --slow")
    if said.every == 1:
        parser.error("--every has to be 2 at least: backtesting.py trades from its second bar on")
    return said


def read(path):
    """The bars, in a frame whose index are their stamps."""
    import pandas as pd

    frame = pd.read_csv(path, usecols=["timestamp", "open", "high", "low", "close", "volume"])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="%Y-%m-%dT%H:%M:%SZ", utc=True)
    return frame.set_index("timestamp")


def is_last_of_session(index):
    """Whether the bar of this number is its session's last: bars.py makes whole sessions."""
    return index % MINUTES_A_DAY == MINUTES_A_DAY - 1


class Rule:
    """When an order is due; averages are the caller's."""

    def __init__(self, slow, every):
        self.slow, self.every = slow, every
        self.seen = 0
        self.was_above = None
        self.due = None

    def push(self, is_above):
        """Takes the next bar; tells what is to be done at its close: "buy", "sell", "either" or None."""
        index = self.seen
        self.seen += 1
        if self.every:
            if self.seen % self.every == 0:
                self.due = "either"
        elif self.seen >= self.slow:
            if self.was_above is not None and self.was_above != is_above:
                self.due = "buy" if is_above else "sell"
            self.was_above = is_above
        if self.due is None or is_last_of_session(index):
            return None
        due, self.due = self.due, None
        return due


def tell(peer, version, seconds, load_seconds, import_seconds, **counts):
    # Linux counts in KiB.
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {
        "peer": peer, "version": version, "seconds": round(seconds, 6),
        "load_seconds": round(load_seconds, 3), "import_seconds": round(import_seconds, 3),
        "rss_mb": round(rss_mb, 1),
    }
    print(json.dumps(line | counts))


def timed(call):
    """What the call returns, and how many seconds it took."""
    begin = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begin
