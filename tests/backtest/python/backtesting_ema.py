"""The EMA cross of peer.py on backtesting.py. Timed is `Backtest.run()`, averages and statistics included:
it has no run without them. Fills are at the close of the bar that decided (`trade_on_close`), no
commission, no spread. It fills an order when the next bar comes: a copy of the last bar is appended for
that, at which nothing is decided.
"""

import importlib.metadata
import warnings

import peer


def load():
    global Backtest, Strategy, pd
    import pandas as pd
    from backtesting import Backtest, Strategy


def strategy_of(said, bars):
    def ema(closes, period):
        """Pandas' recursion is that of the rule: checked on the data of the bench, decision by decision."""
        return pd.Series(closes).ewm(alpha=2.0 / (period + 1.0), adjust=False).mean().to_numpy()

    class EmaCross(Strategy):
        def init(self):
            self.fast = self.I(ema, self.data.Close, said.fast, plot=False)
            self.slow = self.I(ema, self.data.Close, said.slow, plot=False)
            self.rule = peer.Rule(said.slow, said.every)
            self.sent = 0
            # It begins with the second bar.
            self.rule.push(False)

        def next(self):
            if self.rule.seen == bars:
                return
            due = self.rule.push(bool(self.fast[-1] > self.slow[-1]))
            if due is None:
                return
            held = self.position.size
            if held == 0 and due != "sell":
                self.buy(size=peer.SHARES)
                self.sent += 1
            elif held > 0 and due != "buy":
                self.position.close()
                self.sent += 1

    return EmaCross


def main():
    said = peer.arguments(__doc__)
    _, import_seconds = peer.timed(load)

    def prepare():
        frame = peer.read(said.bars).tz_localize(None)
        frame.columns = [name.capitalize() for name in frame.columns]
        end = frame.iloc[[-1]]
        return pd.concat([frame, end.set_axis(end.index + pd.Timedelta(minutes=1))])

    frame, load_seconds = peer.timed(prepare)
    warnings.simplefilter("ignore")
    bars, best = len(frame) - 1, None
    for _ in range(said.repeat):
        test = Backtest(
            frame, strategy_of(said, bars), cash=peer.CASH, trade_on_close=True, finalize_trades=False
        )
        found, seconds = peer.timed(test.run)
        best = seconds if best is None else min(best, seconds)
    strategy = found["_strategy"]
    round_trips = len(found["_trades"])
    position = int(strategy.position.size)
    peer.tell(
        "backtesting.py", importlib.metadata.version("backtesting"), best, load_seconds, import_seconds,
        bars=bars, orders=strategy.sent, fills=2 * round_trips + (1 if position else 0),
        round_trips=round_trips, position=position, equity=round(float(found["Equity Final [$]"]), 2),
    )


if __name__ == "__main__":
    main()
