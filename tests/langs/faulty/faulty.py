"""Fails on every bar, in the way that its parameter says."""

from sandpit import Strategy, export


def slip():
    return [][1]


def loop():
    while True:
        pass


def hog():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def deeper(depth=0):
    return deeper(depth + 1) + 1


FAULTS = {1: slip, 2: loop, 3: hog, 4: deeper}


class Faulty(Strategy):
    name = "faulty"
    version = "1"
    parameters = {"fault": {"type": "integer", "minimum": 0, "maximum": 4, "default": 0}}
    instruments = ("SPY",)
    wants = ("bar",)

    def __init__(self, parameters, instruments):
        self.fault = FAULTS.get(parameters["fault"])

    def on_bar(self, ctx, bar):
        if self.fault:
            self.fault()


WitWorld = export(Faulty)
