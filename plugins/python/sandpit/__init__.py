"""What a strategy author in Python uses: a class to extend, orders to build, money that is exact.

Money, prices and shares are ints in units of 10^-9, as they cross the interface: `price(167.41)`, `shares(10)` and
`usd(500)` make them, `decimal(n)` shows them, `to_float(n)` gives the nearest float. Market data (bars, quotes, trades)
are floats, in US dollars a share. Times are ints too: nanoseconds since 1970, UTC. Events and enums are the generated
classes of `strategy.wit`; `componentize-py bindings` writes them out for an editor.

There is no clock but `ctx.now()` and no chance but `ctx.random()`: `time` traps, and `random` is the same every time.
"""

import json
from typing import NamedTuple

from componentize_py_types import Err
from wit_world.imports import host
from wit_world.imports.types import (
    Account,
    Bar,
    Bars,
    Description,
    Event_BarsComplete,
    Event_CorrectedBar,
    Event_Fill,
    Event_LateBar,
    Event_News,
    Event_OrderUpdate,
    Event_Refusal,
    Event_SessionClose,
    Event_SessionOpen,
    Event_StreamHealth,
    Event_Timer,
    EventKinds,
    Fill,
    Leg,
    Level,
    News,
    OpenOrder,
    OrderStatus,
    OrderUpdate,
    Position,
    Refusal,
    Session,
    Side,
    StopLoss,
    StreamHealth,
    TimeInForce,
)

from .indicators import Sma
from .money import (
    MINUTE,
    SECOND,
    UNIT,
    across,
    decimal,
    is_two_sided,
    price,
    round_down_to_tick,
    round_up_to_tick,
    shares,
    shares_at,
    tick,
    to_float,
    usd,
)
from .orders import Orders, notional, percent
from .parameters import read as _read

# The longest line of the log, as the host cuts it.
_LINE_LENGTH = 1024


class Quote(NamedTuple):
    """The best prices on both sides, with their sizes in shares."""

    instrument: int
    time: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class Trade(NamedTuple):
    """One trade of the market."""

    instrument: int
    time: int
    price: float
    size: float


def log(message: str, level: Level = Level.INFO):
    """A line in the host's log, cut at 1 KiB."""
    host.log(level, message)


class Ctx(Orders):
    """What a strategy sees and wants while it handles one event."""

    def now(self) -> int:
        """Market time of the event being handled."""
        return host.now()

    def position(self, of: int) -> Position:
        """Our own position: `quantity` (negative when short) and `average_price`."""
        return host.position(of)

    def account(self) -> Account:
        """`equity` and `buying_power`."""
        return host.account()

    def last_quote(self, of: int) -> Quote | None:
        """The newest quote."""
        quote = host.last_quote(of)
        return quote and Quote(of, quote.time, quote.bid, quote.bid_size, quote.ask, quote.ask_size)

    def fresh_quote(self, of: int, max_age: int) -> Quote | None:
        """The newest quote if it has both sides and is no older than `max_age` nanoseconds."""
        quote = self.last_quote(of)
        return quote if quote and is_two_sided(quote) and host.now() - quote.time <= max_age else None

    def history(self, of: int, count: int) -> Bars:
        """The last complete one-minute bars, at most 1,000, as columns of equal length, oldest first."""
        return host.history(of, count)

    def random(self) -> int:
        """A seeded random number of 64 bits; the same again in a replay."""
        return host.random()


class Strategy:
    """A trading strategy: a deterministic function of what it is told.

    Extend it, write the handlers that matter, and end with `WitWorld = export(YourStrategy)`. What raises ValueError in
    `check`, `__init__` or `load` refuses; its message goes to the operator.
    """

    name = ""
    version = ""
    # Properties of a JSON Schema, by name.
    parameters: dict = {}
    # The symbols it wants when the operator names none.
    instruments: tuple = ()
    # Of "bar", "quote", "trade", "news".
    wants: tuple = ()
    # Bars of history it wants delivered, intents ignored, before the first live event.
    warmup_bars = 0

    @classmethod
    def check(cls, parameters: dict):
        """Raises ValueError for what the schema cannot say, such as that one parameter is below another."""

    def __init__(self, parameters: dict, instruments: list[str]):
        """`parameters` are checked and have their defaults; an instrument is an index into `instruments`."""

    def on_bar(self, ctx: Ctx, bar: Bar):
        """A minute is complete."""

    def on_late_bar(self, ctx: Ctx, bar: Bar):
        """A bar came after its turn. `ctx.history` has it at its place already."""

    def on_corrected_bar(self, ctx: Ctx, bar: Bar):
        """A bar delivered before has other figures. `ctx.history` has them already."""

    def on_quote(self, ctx: Ctx, quote: Quote):
        """The best prices changed."""

    def on_trade(self, ctx: Ctx, trade: Trade):
        """Somebody traded."""

    def on_bars_complete(self, ctx: Ctx, start: int):
        """Every bar of the minute that starts at `start` is in."""

    def on_order_update(self, ctx: Ctx, update: OrderUpdate):
        """An order of ours changed."""

    def on_fill(self, ctx: Ctx, fill: Fill):
        """An order of ours filled, wholly or in part."""

    def on_refusal(self, ctx: Ctx, refusal: Refusal):
        """An order of ours was not sent."""

    def on_timer(self, ctx: Ctx, id: int):
        """A timer that was set is due."""

    def on_session_open(self, ctx: Ctx, session: Session):
        """The regular session opens: `session.open` and `session.close`, both times."""

    def on_session_close(self, ctx: Ctx, at: int):
        """The regular session closes."""

    def on_stream_health(self, ctx: Ctx, health: StreamHealth):
        """Market data became live, stale, or arrives by a fallback."""

    def on_news(self, ctx: Ctx, news: News):
        """News that speaks of a symbol of ours, or of none at all."""

    def save(self) -> bytes:
        """State to carry over a restart; no bytes mean none."""
        return b""

    def load(self, version: str, state: bytes):
        """Takes back what `save` gave, possibly of an older version."""

    def stop(self, reason: str):
        """The host is about to let go of the strategy."""


_HANDLERS = {
    Event_BarsComplete: "on_bars_complete",
    Event_OrderUpdate: "on_order_update",
    Event_Fill: "on_fill",
    Event_Refusal: "on_refusal",
    Event_Timer: "on_timer",
    Event_SessionOpen: "on_session_open",
    Event_SessionClose: "on_session_close",
    Event_StreamHealth: "on_stream_health",
    Event_LateBar: "on_late_bar",
    Event_CorrectedBar: "on_corrected_bar",
    Event_News: "on_news",
}

_ABOUT_AN_ORDER = (Event_OrderUpdate, Event_Fill, Event_Refusal)


def export(strategy_type: type[Strategy]):
    """What the component exports, made of a class that extends `Strategy`; it has to be called `WitWorld`."""
    ctx = Ctx()
    strategy = None

    def tell(handler: str, event):
        try:
            getattr(strategy, handler)(ctx, event)
            return ctx._taken()
        except BaseException as error:
            _log_error(error)
            raise

    class WitWorld:
        def describe(self) -> Description:
            return _logged(lambda: _description(strategy_type))

        def init(self, parameters: str, instruments: list[str]):
            nonlocal strategy

            def start():
                checked = _read(parameters, strategy_type.parameters)
                strategy_type.check(checked)
                return strategy_type(checked, instruments)

            strategy = _refusing(start)

        def on_bar(self, instrument, start, open, high, low, close, volume):
            return tell("on_bar", Bar(instrument, start, open, high, low, close, volume))

        def on_quote(self, instrument, at, bid, bid_size, ask, ask_size):
            return tell("on_quote", Quote(instrument, at, bid, bid_size, ask, ask_size))

        def on_trade(self, instrument, at, price, size):
            return tell("on_trade", Trade(instrument, at, price, size))

        def on_event(self, event):
            if isinstance(event, _ABOUT_AN_ORDER):
                ctx._heard(event.value.id)
            return tell(_HANDLERS[type(event)], event.value)

        def save(self) -> bytes:
            return _logged(lambda: strategy.save())

        def load(self, version: str, state: bytes):
            _refusing(lambda: strategy.load(version, state))

        def stop(self, reason: str):
            if strategy is not None:
                _logged(lambda: strategy.stop(reason))

    return WitWorld


def _description(of: type[Strategy]) -> Description:
    schema = {"type": "object", "additionalProperties": False, "properties": of.parameters}
    wants = EventKinds(0)
    for kind in of.wants:
        wants |= EventKinds[kind.upper()]
    return Description(of.name, of.version, json.dumps(schema), list(of.instruments), wants, of.warmup_bars)


def _logged(act):
    """Sends what is raised, and where, to the host's log; the trap that follows carries neither."""
    try:
        return act()
    except BaseException as error:
        _log_error(error)
        raise


def _refusing(act):
    """For calls that may say no. ValueError was meant, anything else is a slip and tells its place."""
    try:
        return act()
    except ValueError as error:
        raise Err(str(error)) from None
    except Exception as error:
        raise Err(_words(error)) from None


def _log_error(error: BaseException):
    host.log(Level.ERROR, _words(error))


def _words(error: BaseException) -> str:
    """The last line of the traceback and the innermost calls, without those of this library's own doors."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    text = f"{type(error).__name__}: {error}"
    innermost = ", ".join(reversed(places[-3:]))
    return (f"{text} ({innermost})" if innermost else text)[:_LINE_LENGTH]
