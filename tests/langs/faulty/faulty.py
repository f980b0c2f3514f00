"""Fails on every bar, in the way that its parameter says, or asks for everything that there is."""

from sandpit import SECOND, StopLoss, Strategy, TimeInForce, export, notional, percent, price, shares, usd


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


def everything(ctx):
    ten, five, one = shares(10), shares(5), shares(1)
    first = ctx.buy(0, ten).limit(price(101)).stop(price(100)).time_in_force(TimeInForce.GTC).send()
    ctx.sell(0, five).stop(price(99)).send()
    ctx.sell(0, five).trailing_stop(price(1.5)).send()
    ctx.sell(0, five).trailing_stop(percent(2)).send()
    ctx.buy(0, notional(usd(500))).time_to_live_ms(5000).send()
    ctx.buy(0, ten).limit(price(100)).bracket(price(110), StopLoss(price(90), price(89))).send()
    ctx.sell(0, ten).limit(price(120)).oco(price(80)).send()
    ctx.buy(0, one).oto_take_profit(price(130)).send()
    ctx.buy(0, one).oto_stop_loss(price(70)).time_in_force(TimeInForce.GTC).send()
    ctx.buy(0, ten).limit(price(100)).reprice(price(100.5)).time_in_force(TimeInForce.FOK).send()
    ctx.buy(0, ten).limit(price(100)).extended_hours().send()
    ctx.replace(first).quantity(shares(12)).limit(price(102)).stop(price(101)).time_to_live_ms(1000).send()
    ctx.close_position(0)
    ctx.cancel(first)
    ctx.cancel_all()
    ctx.set_timer(3, ctx.now() + SECOND)
    ctx.cancel_timer(4)
    ctx.signal(0, f"{len(ctx.open_orders_of(0))} open, {len(ctx.history(0, 9).close)} bars, {ctx.random()}")
    ctx.signal(None, "")


class Faulty(Strategy):
    name = "faulty"
    version = "1"
    parameters = {"fault": {"type": "integer", "minimum": 0, "maximum": 6, "default": 0}}
    instruments = ("SPY",)
    wants = ("bar",)

    def __init__(self, parameters, instruments):
        self.asks = parameters["fault"] == 6
        self.fault = FAULTS.get(parameters["fault"])

    def on_bar(self, ctx, bar):
        if self.asks:
            everything(ctx)
        if self.fault:
            self.fault()


WitWorld = export(Faulty)
