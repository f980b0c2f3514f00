"""Follows the trend, long only: buys when a fast moving average of the closes crosses above a slow one, sells when it is
below again. One position and at most one open order a symbol.

Orders are limits across the spread, or market orders where there is no quote. One that is still open at the next bar is
cancelled. An entry that does not come about is tried again at the next bars, a few times; an exit for ever.
"""

from sandpit import (
    MINUTE,
    OrderStatus,
    Side,
    Sma,
    Strategy,
    across,
    decimal,
    export,
    price,
    shares_at,
    to_float,
    usd,
)

# How often an entry is tried before the cross counts as missed.
MAX_ENTRY_TRIES = 3
# An order that waits longer than this in the host's queue is of no use: the next bar decides anew.
TIME_TO_LIVE_MS = 30_000
# The longest average, in bars: a trading day.
MAX_BARS = 390


class SmaCross(Strategy):
    name = "SMA cross, in Python"
    version = "0.1.0"
    parameters = {
        "fast": {
            "type": "integer", "minimum": 1, "maximum": 389, "default": 5,
            "description": "Bars in the fast average; fewer than in the slow one.",
        },
        "slow": {
            "type": "integer", "minimum": 2, "maximum": MAX_BARS, "default": 20,
            "description": "Bars in the slow average.",
        },
        "fraction": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05,
            "description": "Share of the equity that one position may cost when it is opened.",
        },
        "usd": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000_000,
            "description": "US dollars that one position may cost when it is opened, instead of fraction.",
        },
        "flatten_before_close_minutes": {
            "type": "integer", "minimum": 1, "maximum": 389,
            "description": "Minutes before the session's close from which on positions are sold and none is opened.",
        },
    }
    instruments = ("SPY",)
    # Quotes are wanted to price orders, not to act on.
    wants = ("bar", "quote")
    # Enough whatever the parameters: they are not known yet when it is asked.
    warmup_bars = MAX_BARS

    @classmethod
    def check(cls, parameters):
        fast, slow = parameters["fast"], parameters["slow"]
        if fast >= slow:
            raise ValueError(f"parameters: fast must be below slow, not {fast} and {slow}")

    def __init__(self, parameters, instruments):
        self.fraction = parameters["fraction"]
        self.usd = parameters["usd"]
        self.flatten_before_close_minutes = parameters["flatten_before_close_minutes"]
        self.symbols = [Averages(parameters["fast"], parameters["slow"]) for _ in instruments]
        # When the session closes; None while nothing is known of it.
        self.closes_at = None
        self.is_closed = False

    def on_bar(self, ctx, bar):
        trend = self.symbols[bar.instrument].on_close(bar.close)
        if open := ctx.open_orders_of(bar.instrument):
            for order in open:
                ctx.cancel(order.id)
            return
        if self.is_closed:
            return
        held = ctx.position(bar.instrument).quantity
        if held > 0 and (trend == "below" or self.is_late(ctx)):
            self.exit(ctx, bar, held)
        elif held == 0 and trend == "above" and not self.is_late(ctx):
            self.enter(ctx, bar)

    def on_order_update(self, ctx, update):
        if update.status is OrderStatus.REJECTED:
            ctx.signal(update.instrument, "the broker rejected the order; the next bar decides anew")

    def on_fill(self, ctx, fill):
        if fill.side is Side.BUY:
            self.symbols[fill.instrument].tries = 0

    def on_refusal(self, ctx, refusal):
        # The answer to a cancel that came too late.
        if refusal.reason == "unknown-order":
            return
        ctx.signal(None, f"order {refusal.id} refused: {refusal.reason}; the next bar decides anew")
        if refusal.reason == "session-closed":
            self.is_closed = True

    def on_session_open(self, ctx, session):
        self.closes_at = session.close
        self.is_closed = False

    def on_session_close(self, ctx, at):
        self.is_closed = True

    def is_late(self, ctx):
        """Whether it is so late in the session that positions are only sold."""
        if self.flatten_before_close_minutes is None or self.closes_at is None or self.is_closed:
            return False
        return self.closes_at - ctx.now() <= self.flatten_before_close_minutes * MINUTE

    def enter(self, ctx, bar):
        symbol = self.symbols[bar.instrument]
        if symbol.tries == 0:
            return
        symbol.tries -= 1
        limit = marketable(ctx, bar.instrument, Side.BUY)
        at = price(bar.close) if limit is None else limit
        if at is None:
            return
        quantity = shares_at(self.budget(ctx), at)
        if quantity == 0:
            ctx.signal(bar.instrument, f"crossed up, but the budget buys no share at {decimal(at)}")
            return
        ctx.signal(bar.instrument, f"crossed up: buying {decimal(quantity)} at {decimal(at)}")
        send(ctx, bar.instrument, Side.BUY, quantity, limit)

    def exit(self, ctx, bar, held):
        ctx.signal(bar.instrument, f"below, or late in the session: selling {decimal(held)}")
        send(ctx, bar.instrument, Side.SELL, held, marketable(ctx, bar.instrument, Side.SELL))

    def budget(self, ctx):
        if self.usd is not None:
            return usd(self.usd)
        return usd(to_float(ctx.account().equity) * self.fraction) or 0


class Averages:
    """One symbol's averages, and the entry that is due."""

    def __init__(self, fast, slow):
        self.fast = Sma(fast)
        self.slow = Sma(slow)
        # Whether the fast average was above the slow one at the last bar.
        self.was_above = None
        # Tries left of an entry whose cross has come and whose position has not.
        self.tries = 0

    def on_close(self, close):
        """Takes the next close. A cross upwards makes an entry due, a cross downwards takes it back."""
        fast, slow = self.fast.push(close), self.slow.push(close)
        if fast is None or slow is None:
            return "unknown"
        is_above = fast > slow
        if self.was_above is False and is_above:
            self.tries = MAX_ENTRY_TRIES
        if not is_above:
            self.tries = 0
        self.was_above = is_above
        return "above" if is_above else "below"


def send(ctx, instrument, side, quantity, limit):
    ticket = ctx.order(instrument, side, quantity).time_to_live_ms(TIME_TO_LIVE_MS)
    if limit is not None:
        ticket = ticket.limit(limit)
    ticket.send()


def marketable(ctx, instrument, side):
    """The price across the spread, on a tick; None without a quote of both sides."""
    quote = ctx.last_quote(instrument)
    return None if quote is None else across(quote, side)


WitWorld = export(SmaCross)
