"""Tests of what lies here. Without the peers (a plain Python) those that need them are skipped.

    python3 -m unittest peers_test
"""

import contextlib
import csv
import datetime as dt
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

import bars
import peer
import week

HERE = os.path.dirname(os.path.abspath(__file__))
START = dt.date(2010, 1, 4)


def lines(count, symbols=("SPY",), seed=1, start=START):
    return list(bars.bars(random.Random(seed).random, symbols, start, count))


class Bars(unittest.TestCase):
    def test_the_same_bytes_everywhere(self):
        found = lines(2)
        self.assertEqual(found[0], "2010-01-04T14:30:00Z,SPY,100.00,100.05,99.87,99.91,5846\n")
        self.assertEqual(found[1], "2010-01-04T14:31:00Z,SPY,99.91,99.94,99.87,99.91,15986\n")

    def test_every_bar_can_be(self):
        for line in lines(20_000, seed=41):
            first, high, low, last = (float(cell) for cell in line.split(",")[2:6])
            self.assertTrue(low <= min(first, last) and max(first, last) <= high, line)
            self.assertTrue(bars.LEAST <= low and high <= bars.MOST + 1.0, line)

    def test_sessions(self):
        # The day before Good Friday, over the weekend of the summer time, and around Thanksgiving.
        for day, whole, opens in [
            ("2013-03-08", True, 14), ("2013-03-11", True, 13), ("2013-03-29", False, 13),
            ("2013-11-27", True, 14), ("2013-11-28", False, 14), ("2013-11-29", False, 14),
            ("2013-10-14", True, 13), ("2013-05-27", False, 13), ("2013-10-12", False, 13),
        ]:
            date = dt.date.fromisoformat(day)
            self.assertEqual((bars.is_whole_day(date), bars.opening(date).hour), (whole, opens), day)

    def test_days_have_390_minutes(self):
        days = [line[:10] for line in lines(391)]
        self.assertEqual((days.count("2010-01-04"), days[-1]), (390, "2010-01-05"))


class Rule(unittest.TestCase):
    """The same cases as those of `plugins/ema_cross/src/rule.rs`."""

    def dues(self, fast, slow, every, closes):
        rule = peer.Rule(slow, every)
        averages = zip(ema(closes, fast), ema(closes, slow))
        return "".join((rule.push(a > b) or "-")[0] for a, b in averages)

    def test_by_hand(self):
        for fast, slow, every, closes, expected in [
            (1, 3, 0, [10, 8, 12, 9, 10], "---sb"),
            (1, 3, 0, [10, 8, 12, 13], "----"),
            (1, 3, 0, [10, 10, 10, 10, 10.1, 10.1, 10], "----b-s"),
            (1, 3, 2, [10] * 7, "-e-e-e-"),
            (1, 3, 1, [10] * 3, "eee"),
        ]:
            self.assertEqual(self.dues(fast, slow, every, closes), expected, closes)

    def test_the_last_minute_waits(self):
        found = self.dues(1, 2, 390, [10] * 391)
        self.assertEqual((found[389], found[390]), ("-", "e"))


def ema(closes, period):
    alpha = 2.0 / (period + 1.0)
    found = []
    for close in closes:
        found.append(alpha * close + (1.0 - alpha) * found[-1] if found else close)
    return found


class Peers(unittest.TestCase):
    def closes(self):
        return [float(line.split(",")[5]) for line in lines(30_000, seed=7)]

    def test_averages_decide_alike(self):
        """Pandas' and NautilusTrader's averages lead to the decisions of the plain one."""
        try:
            import pandas as pd
            from nautilus_trader.indicators import ExponentialMovingAverage
        except ImportError as error:
            self.skipTest(str(error))
        closes = self.closes()

        def of_pandas(period):
            return pd.Series(closes).ewm(alpha=2.0 / (period + 1.0), adjust=False).mean().tolist()

        def of_nautilus(period):
            average, found = ExponentialMovingAverage(period), []
            for close in closes:
                average.update_raw(close)
                found.append(average.value)
            return found

        for fast, slow in [(10, 20), (2000, 20000)]:
            expected = [a > b for a, b in zip(ema(closes, fast), ema(closes, slow))]
            for other in (of_pandas, of_nautilus):
                self.assertEqual([a > b for a, b in zip(other(fast), other(slow))], expected, (other, fast))
            for other in (of_pandas, of_nautilus):
                apart = max(abs(a - b) for a, b in zip(other(fast), ema(closes, fast)))
                self.assertLess(apart, 1e-9, "what the last bits of a sum may be apart")

    def test_both_trade_alike(self):
        try:
            import backtesting  # noqa: F401
            import nautilus_trader  # noqa: F401
        except ImportError as error:
            self.skipTest(str(error))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bars.csv")
            with open(path, "w") as file:
                file.write("timestamp,symbol,open,high,low,close,volume\n")
                file.writelines(lines(5_000, seed=3))
            for more in (["--fast", "10", "--slow", "20"], ["--every", "10"], ["--every", "2"]):
                found = []
                for program in ("backtesting_ema.py", "nautilus_ema.py"):
                    command = [sys.executable, os.path.join(HERE, program), "--bars", path, *more]
                    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                    found.append([said[key] for key in ("bars", "orders", "fills", "position", "equity")])
                self.assertEqual(found[0], found[1], more)
                self.assertGreater(found[0][1], 100, more)


class Week(unittest.TestCase):
    """A few minutes whose table was made with pencil and paper."""

    BARS = """timestamp,symbol,open,high,low,close,volume
2013-10-07T13:30:00Z,A,10,10,10,10.00,1500
2013-10-07T13:31:00Z,A,10,10,10,10.00,1500
2013-10-07T13:32:00Z,A,10.2,10.3,10.1,10.20,500
2013-10-07T13:33:00Z,A,10.1,10.1,9.8,9.90,5000
2013-10-07T13:34:00Z,A,9.9,9.9,9.9,9.90,5000
2013-10-07T20:30:00Z,A,11,11,11,11.00,5000
"""
    SCRIPT = """2013-10-07T13:31:00Z A buy 200 market       # 150 at 10.01, 50 at 10.02
2013-10-07T13:31:00Z A sell 120 limit +0.20             # 100 at 10.20 at 13:33, that is all that is shown
2013-10-07T13:32:00Z A sell 80 stop 9.85                # at 13:34 at the close, 9.90
2013-10-07T13:32:00Z A sell 1 market                    # 200 are held and on sale
2013-10-07T13:35:00Z A buy 5 limit 10.00                # at the offer, 9.91
2013-10-07T20:31:00Z A buy 5 market
"""
    # Paid 1501.50 + 501 + 49.55, got 1020 + 792; 25 are held at 11.00, a bar after the session's.
    TABLE = """fill,1,2013-10-07T13:31:00Z,A,buy,150,10.01
fill,1,2013-10-07T13:31:00Z,A,buy,50,10.02
fill,2,2013-10-07T13:33:00Z,A,sell,100,10.20
fill,3,2013-10-07T13:34:00Z,A,sell,80,9.90
fill,5,2013-10-07T13:35:00Z,A,buy,5,9.91
over,2,20
refused,4,short-not-allowed
refused,6,session-closed
pnl,A,25,34.95
cash,9759.95
"""

    def test_by_hand(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("bars.csv", "script")]
            for path, text in zip(paths, (self.BARS, self.SCRIPT)):
                with open(path, "w") as file:
                    file.write(text)
            found = week.Week("10000", week.read_script(paths[1]))
            for bar in week.read_bars(paths[0], None, None):
                found.on_bar(bar)
        out = io.StringIO()
        with contextlib.closing(out):
            csv.writer(out, lineterminator="\n").writerows(found.table())
            self.assertEqual(out.getvalue(), self.TABLE)


if __name__ == "__main__":
    unittest.main()
