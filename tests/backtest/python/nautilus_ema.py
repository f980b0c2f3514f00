"""The EMA cross of peer.py on NautilusTrader's low-level engine. Timed is `BacktestEngine.run()` alone: the
bars are made and added before it, logging is bypassed, the analysis after the run is off. Fills are at
the close of the bar that decided, no fee, no latency; the risk engine is on, as the gates are in the
host.
"""

import gc

import peer


def load():
    global nt, pd
    from types import SimpleNamespace

    import nautilus_trader
    import pandas as pd
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.indicators import ExponentialMovingAverage
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import Equity
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.trading.strategy import Strategy

    nt = SimpleNamespace(version=nautilus_trader.__version__, **locals())


def instrument():
    return nt.Equity(
        instrument_id=nt.InstrumentId(nt.Symbol("SPY"), nt.Venue("NYSE")), raw_symbol=nt.Symbol("SPY"),
        currency=nt.USD, price_precision=2, price_increment=nt.Price.from_str("0.01"),
        lot_size=nt.Quantity.from_int(1), ts_event=0, ts_init=0,
    )


def bars_of(frame, bar_type):
    """Bars stamped at the end of their minute, when they are known."""
    ends = frame.index.as_unit("ns").asi8 + 60_000_000_000
    columns = [frame[name].tolist() for name in ("open", "high", "low", "close", "volume")]
    price, quantity, bar = nt.Price, nt.Quantity, nt.Bar
    return [
        bar(bar_type, *[price(value, 2) for value in prices], quantity(volume, 0), end, end)
        for *prices, volume, end in zip(*columns, ends.tolist())
    ]


def strategy_of(said, equity, bar_type):
    class EmaCross(nt.Strategy):
        def __init__(self):
            super().__init__()
            # Begins with the first value and goes on by the rule's own recursion.
            self.fast = nt.ExponentialMovingAverage(said.fast)
            self.slow = nt.ExponentialMovingAverage(said.slow)
            self.rule = peer.Rule(said.slow, said.every)
            self.sent = 0
            self.filled = 0
            self.shares = nt.Quantity.from_int(peer.SHARES)

        def on_start(self):
            self.subscribe_bars(bar_type)
            self.register_indicator_for_bars(bar_type, self.fast)
            self.register_indicator_for_bars(bar_type, self.slow)

        def on_bar(self, bar):
            due = self.rule.push(self.fast.value > self.slow.value)
            if due is None:
                return
            is_flat = self.portfolio.is_flat(equity.id)
            if is_flat and due != "sell":
                self.order(nt.OrderSide.BUY)
            elif not is_flat and due != "buy":
                self.order(nt.OrderSide.SELL)

        def order(self, side):
            self.sent += 1
            self.submit_order(self.order_factory.market(equity.id, side, self.shares))

        def on_order_filled(self, event):
            self.filled += 1

    return EmaCross()


def engine_of(said, equity, bar_type, bars):
    engine = nt.BacktestEngine(
        nt.BacktestEngineConfig(logging=nt.LoggingConfig(bypass_logging=True), run_analysis=False)
    )
    engine.add_venue(
        venue=nt.Venue("NYSE"), oms_type=nt.OmsType.NETTING, account_type=nt.AccountType.CASH,
        starting_balances=[nt.Money(peer.CASH, nt.USD)], base_currency=nt.USD,
    )
    engine.add_instrument(equity)
    engine.add_data(bars)
    strategy = strategy_of(said, equity, bar_type)
    engine.add_strategy(strategy)
    return engine, strategy


def main():
    said = peer.arguments(__doc__)
    _, import_seconds = peer.timed(load)
    equity = instrument()
    bar_type = nt.BarType.from_str(f"{equity.id}-1-MINUTE-LAST-EXTERNAL")
    bars, load_seconds = peer.timed(lambda: bars_of(peer.read(said.bars), bar_type))
    best = None
    for _ in range(said.repeat):
        (engine, strategy), more = peer.timed(lambda: engine_of(said, equity, bar_type, bars))
        gc.collect()
        _, seconds = peer.timed(engine.run)
        best = seconds if best is None else min(best, seconds)
        position = int(engine.portfolio.net_position(equity.id))
        cash = engine.portfolio.account(nt.Venue("NYSE")).balance_total(nt.USD).as_double()
        engine.dispose()
    peer.tell(
        "nautilus_trader", nt.version, best, load_seconds + more, import_seconds,
        bars=len(bars), orders=strategy.sent, fills=strategy.filled,
        round_trips=strategy.filled // 2, position=position,
        equity=round(cash + position * bars[-1].close.as_double(), 2),
    )


if __name__ == "__main__":
    main()
