"""Money that is exact: whole numbers (int) in units of 10^-9, as they cross the interface."""

from math import floor, inf

# Units of 10^-9 in one.
UNIT = 1_000_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND

# What fits into 64 bits with a sign ends here.
_RANGE = 2.0**63


def price(value: float) -> int | None:
    """The nearest money to a float of market data; None when that is not finite or does not fit."""
    scaled = abs(value * 1e9)
    if not scaled < _RANGE:
        return None
    # Halves go away from zero.
    nanos = floor(scaled)
    if scaled - nanos >= 0.5:
        nanos += 1
    return -nanos if value < 0 else nanos


usd = price


def shares(count: int) -> int:
    """Whole shares."""
    return count * UNIT


def to_float(nanos: int) -> float:
    """The nearest float: for figures and ratios, never for orders."""
    return float(nanos) / 1e9


def decimal(nanos: int) -> str:
    """As a decimal without trailing zeros."""
    whole, fraction = divmod(abs(nanos), UNIT)
    text = f"{whole}.{fraction:09}".rstrip("0").rstrip(".") if fraction else str(whole)
    return f"-{text}" if nanos < 0 else text


def shares_at(dollars: int, of: int) -> int:
    """How many whole shares these dollars pay for; zero when either is not above zero."""
    return dollars // of * UNIT if dollars > 0 and of > 0 else 0


def tick(of: int) -> int:
    """The smallest step of an order's price: 0.01 USD from 1 USD upwards, 0.0001 USD below."""
    return 10_000_000 if of >= UNIT else 100_000


def round_down_to_tick(of: int) -> int:
    return of - of % tick(of)


def round_up_to_tick(of: int) -> int:
    down = round_down_to_tick(of)
    return down if down == of else down + tick(of)


def is_two_sided(quote) -> bool:
    """Whether both sides of a quote are there and not crossed."""
    return quote.bid > 0 and quote.bid <= quote.ask < inf


def across(quote, side) -> int | None:
    """The limit price that trades at once: the other side of the spread, on a tick. None for a broken quote."""
    if not is_two_sided(quote):
        return None
    is_buy = side.name == "BUY"
    of = price(quote.ask if is_buy else quote.bid)
    if of is None:
        return None
    rounded = round_up_to_tick(of) if is_buy else round_down_to_tick(of)
    return rounded if rounded > 0 else None
