"""Indicators: each takes a value in constant time."""

from math import isfinite


class Sma:
    """The simple moving average of the last `period` values.

    In constant time and without drift: a second sum starts at every wrap of the ring and only adds; at the next wrap it
    covers exactly the ring, and takes over.
    """

    __slots__ = ("_values", "_next", "_is_full", "_pivot", "_sum", "_fresh_pivot", "_fresh_sum")

    def __init__(self, period: int):
        self._values = [0.0] * period
        self._next = 0
        self._is_full = False
        self._pivot = self._sum = 0.0
        self._fresh_pivot = self._fresh_sum = 0.0

    def push(self, value: float) -> float | None:
        """Takes the next value, unless it is not finite; the average now."""
        if not isfinite(value):
            return self.value()
        if self._next == 0 and not self._is_full:
            self._pivot = self._fresh_pivot = value
            self._sum = self._fresh_sum = 0.0
        oldest = self._values[self._next]
        self._values[self._next] = value
        if self._is_full:
            self._sum -= oldest - self._pivot
        self._sum += value - self._pivot
        self._fresh_sum += value - self._fresh_pivot
        self._next += 1
        if self._next == len(self._values):
            self._next = 0
            self._is_full = True
            self._pivot, self._sum = self._fresh_pivot, self._fresh_sum
            self._fresh_pivot, self._fresh_sum = self._mean(), 0.0
        return self.value()

    def value(self) -> float | None:
        """The average; None before `period` values came."""
        return self._mean() if self._is_full else None

    def _mean(self) -> float:
        return self._pivot + self._sum / len(self._values)
