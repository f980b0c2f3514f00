"""Computes what has to come of a script of orders over bars, independently of the host: decimals, no
dependency.

    week.py --bars FILE.csv[.gz] --script week.script [--cash 10000000] [--from STAMP] [--to STAMP]

It knows nothing of the venue's code, only its rules, as `sim/venue/src/lib.rs` has them, for realism
`exact`, bars without quotes, no fees, no latency, and as far as a script of `tests/backtest/scripted`
goes; and four of the host's gates. In the order in which they are asked: an order outside the regular
session is refused, one whose price is further than 5 % from the market, a sale of more than is held and
not on sale already, and one that could meet an order of the other side. The limits of size are not looked
at: give enough cash (an order of at most a tenth of it passes).

The bars are CSV with the columns timestamp (start of the minute, UTC), symbol, open, high, low, close,
volume. The script is that of `tests/backtest/scripted/src/script.rs`.

What is printed is CSV without a header; the first word says what a line is, `line` is the line of the
script:

    fill,line,time,symbol,side,shares,price    one execution, in the order of time, then of symbol
    open,line,shares                           still open at the end, with so many shares left
    over,line,shares                           canceled or expired with so many shares left
    refused,line,reason                        not sent: session-closed, price-collar,
                                               short-not-allowed, self-cross
    unsent,line                                there is no such bar
    pnl,symbol,shares,profit                   held at the end; profit, realised or not, by the last close
    cash,usd                                   at the end

A time is the end of the bar with which the fill came. A venue's clock may be a nanosecond before that,
where the session ends with the bar. Prices have as many decimals as the bars, money has two.
"""

import argparse
import csv
import datetime as dt
import gzip
import sys
from decimal import ROUND_CEILING, Decimal

import bars as market

MINUTE = dt.timedelta(minutes=1)
TICK, TICK_BELOW_ONE = Decimal("0.01"), Decimal("0.0001")
OPPOSITE = {"buy": "sell", "sell": "buy"}


def tick(price):
    return TICK if price >= 1 else TICK_BELOW_ONE


def stamp(text):
    return dt.datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=None)


def hours(day):
    """When the regular session of a whole day opens and closes, UTC."""
    opens = market.opening(day)
    return opens, opens + dt.timedelta(minutes=market.MINUTES_A_DAY)


class Bar:
    def __init__(self, row):
        self.symbol = row["symbol"]
        self.start = stamp(row["timestamp"])
        self.end = self.start + MINUTE
        self.high, self.low, self.close = (Decimal(row[name]) for name in ("high", "low", "close"))
        self.volume = int(row["volume"])
        opens, closes = hours(self.start.date())
        is_day = market.is_whole_day(self.start.date())
        self.in_session = is_day and opens <= self.start and self.end <= closes


def read_bars(path, first, last):
    opened = gzip.open(path, "rt", newline="") if path.endswith(".gz") else open(path, newline="")
    with opened as file:
        found = [Bar(row) for row in csv.DictReader(file)]
    found = [bar for bar in found if (not first or bar.start >= first) and (not last or bar.end <= last)]
    return sorted(found, key=lambda bar: (bar.start, bar.symbol))


class Order:
    """A line of the script, then the order that it became."""

    def __init__(self, number, words):
        self.line = number
        self.at, self.symbol, self.side = stamp(words[0]), words[1], words[2]
        self.left = int(words[3])
        self.kind, rest = words[4], words[5:]
        prices = {"market": 0, "limit": 1, "stop": 1, "stop_limit": 2}[self.kind]
        self.prices, self.lasts = rest[:prices], (rest[prices:] or ["day"])[0]
        self.stop = self.limit = None
        self.is_over = False

    def price_at(self, close):
        """Its prices, now that the bar is known at which it is sent."""
        found = [close + Decimal(word) if word[0] in "+-" else Decimal(word) for word in self.prices]
        if self.kind.startswith("stop"):
            self.stop = found.pop(0)
        if found:
            self.limit = found[0]
        self.is_elected = self.stop is None

    def elect(self):
        self.is_elected = True
        if self.kind == "stop" and self.side == "buy":
            collar = self.stop * (Decimal("1.04") if self.stop < 50 else Decimal("1.025"))
            step = tick(collar)
            self.limit = (collar / step).to_integral_value(ROUND_CEILING) * step

    def priority(self):
        """Market orders first, then the better price, then the earlier order."""
        if self.limit is None:
            return (0, 0, self.sequence)
        return (1, -self.limit if self.side == "buy" else self.limit, self.sequence)

    def accepts(self, price):
        return self.limit is None or (price <= self.limit if self.side == "buy" else price >= self.limit)


def read_script(path):
    found = []
    with open(path) as file:
        for number, text in enumerate(file, 1):
            words = text.split("#")[0].split()
            if words:
                found.append(Order(number, words))
    return found


class Week:
    def __init__(self, cash, script):
        self.cash = Decimal(cash)
        self.script = {}
        for order in script:
            self.script.setdefault((order.at, order.symbol), []).append(order)
        self.working = []
        self.held, self.spent, self.mark = {}, {}, {}
        self.fills, self.refused, self.over = [], [], []
        self.sent = 0
        self.day_close = None

    def on_bar(self, bar):
        self.pass_time(bar)
        self.mark[bar.symbol] = bar.close
        self.bar = bar
        if bar.in_session:
            size = max(bar.volume // 10, 100)
            self.shown = {"buy": bar.close + tick(bar.close), "sell": bar.close}
            self.size = {"buy": size, "sell": size}
            for order in list(self.working):
                if order.symbol == bar.symbol and not order.is_elected and not order.is_over:
                    if bar.high >= order.stop if order.side == "buy" else bar.low <= order.stop:
                        order.elect()
                        self.match(bar.symbol, order.side)
            self.match(bar.symbol, "buy")
            self.match(bar.symbol, "sell")
        for order in self.script.pop((bar.end, bar.symbol), []):
            self.send(order, bar)

    def pass_time(self, bar):
        """What happened between the bar before and this one."""
        if self.day_close and bar.end > self.day_close:
            self.close()
            self.day_close = None
        self.working = [order for order in self.working if not order.is_over]
        if bar.in_session:
            self.day_close = hours(bar.start.date())[1]

    def send(self, order, bar):
        order.price_at(bar.close)
        reason = self.refusal(order, bar)
        if reason:
            self.refused.append((order, reason))
            return
        self.sent += 1
        order.sequence = self.sent
        self.working.append(order)
        if not order.is_elected:
            return
        if order.lasts == "fok":
            is_there = order.left <= self.size[order.side] and order.accepts(self.shown[order.side])
            if not is_there:
                return self.end(order)
        self.match(order.symbol, order.side)
        if order.lasts in ("ioc", "fok") and not order.is_over:
            self.end(order)

    def refusal(self, order, bar):
        """Why the host does not send it, if it does not."""
        if not bar.in_session or bar.end == self.day_close:
            return "session-closed"
        own = [price for price in (order.stop or order.limit, order.limit) if price is not None]
        if any(abs(price - bar.close) > bar.close / 20 for price in own):
            assert order.side == "buy", "the gate looks at exits in another way: not needed here"
            return "price-collar"
        open_here = [other for other in self.working if other.symbol == order.symbol and not other.is_over]
        if order.side == "sell":
            on_sale = sum(other.left for other in open_here if other.side == "sell")
            if order.left > self.held.get(order.symbol, 0) - on_sale:
                return "short-not-allowed"
        for other in open_here:
            # By what was sent: an elected buy stop is a stop all the same, and so without a limit.
            limits = [it.limit if it.kind in ("limit", "stop_limit") else None for it in (order, other)]
            if other.side == order.side:
                continue
            if None in limits:
                return "self-cross"
            buys, sells = limits if order.side == "buy" else limits[::-1]
            if buys >= sells:
                return "self-cross"
        return None

    def match(self, symbol, side):
        """Orders of one side take what is shown, in their priority."""
        price = self.shown[side]
        takers = [it for it in self.working if it.symbol == symbol and it.side == side and it.is_elected]
        for order in sorted((it for it in takers if not it.is_over), key=Order.priority):
            if not order.accepts(price):
                return
            taken = min(order.left, self.size[side])
            self.size[side] -= taken
            self.fill(order, taken, price)
            if order.limit is None:
                worse = price + tick(price) if side == "buy" else max(price - tick(price), TICK_BELOW_ONE)
                self.fill(order, order.left, worse)

    def fill(self, order, shares, price):
        if shares == 0:
            return
        sign = 1 if order.side == "buy" else -1
        order.left -= shares
        order.is_over = order.left == 0
        self.cash -= sign * shares * price
        self.spent[order.symbol] = self.spent.get(order.symbol, 0) + sign * shares * price
        self.held[order.symbol] = self.held.get(order.symbol, 0) + sign * shares
        assert self.held[order.symbol] >= 0, "the gates let no short pass"
        self.fills.append((order.line, self.bar.end, order.symbol, order.side, shares, price))

    def end(self, order):
        order.is_over = True
        self.over.append(order)

    def close(self):
        """A session is over: day orders expire."""
        for order in self.working:
            if order.lasts == "day" and not order.is_over:
                self.end(order)

    def table(self):
        self.close()
        for line, end, symbol, side, shares, price in self.fills:
            yield "fill", line, f"{end:%Y-%m-%dT%H:%M:%SZ}", symbol, side, shares, price
        for order in (it for it in self.working if not it.is_over):
            yield "open", order.line, order.left
        for order in self.over:
            yield "over", order.line, order.left
        for order, reason in self.refused:
            yield "refused", order.line, reason
        for order in (order for orders in self.script.values() for order in orders):
            yield "unsent", order.line
        for symbol in sorted(self.held):
            profit = self.held[symbol] * self.mark[symbol] - self.spent[symbol]
            yield "pnl", symbol, self.held[symbol], f"{profit:.2f}"
        yield "cash", f"{self.cash:.2f}"


def main():
    parser = argparse.ArgumentParser(description="Computes what has to come of a script of orders over bars.")
    parser.add_argument("--bars", required=True)
    parser.add_argument("--script", required=True)
    parser.add_argument("--cash", default="10000000")
    parser.add_argument("--from", dest="first", type=stamp)
    parser.add_argument("--to", dest="last", type=stamp)
    said = parser.parse_args()
    week = Week(said.cash, read_script(said.script))
    for bar in read_bars(said.bars, said.first, said.last):
        week.on_bar(bar)
    csv.writer(sys.stdout, lineterminator="\n").writerows(week.table())


if __name__ == "__main__":
    main()
