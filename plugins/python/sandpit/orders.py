"""Orders: how they are written, and which of them are open though the host has not answered yet."""

from dataclasses import replace as with_changes
from typing import Self

from wit_world.imports import host
from wit_world.imports.types import (
    Amount_Notional,
    Amount_Shares,
    Bracket,
    ClosePosition,
    Intent_Cancel,
    Intent_CancelAll,
    Intent_CancelTimer,
    Intent_ClosePosition,
    Intent_Replace,
    Intent_SetTimer,
    Intent_Signal,
    Intent_Submit,
    Leg,
    OpenOrder,
    OrderClass_Bracket,
    OrderClass_Oco,
    OrderClass_OtoStopLoss,
    OrderClass_OtoTakeProfit,
    OrderClass_Simple,
    OrderKind_Limit,
    OrderKind_Market,
    OrderKind_Stop,
    OrderKind_StopLimit,
    OrderKind_TrailingStop,
    OrderStatus,
    Replace,
    Side,
    Signal,
    StopLimit,
    StopLoss,
    Submit,
    TimeInForce,
    Timer,
    Trail_Percent,
    Trail_Price,
)

from .money import price as _money

# How long past its time to live an order counts as open though the host has said nothing of it, nanoseconds. The host
# answers every order with an update or a refusal, so silence means that it was not taken, as during warm-up.
_UNHEARD_FOR = 120_000_000_000
# Orders remembered until the host answers; beyond it the oldest is forgotten.
_MAX_UNHEARD = 1024
_MILLISECOND = 1_000_000


def notional(nanos: int) -> Amount_Notional:
    """An amount of dollars to buy or sell for, in the place of shares."""
    return Amount_Notional(nanos)


def percent(value: float) -> Trail_Percent:
    """A percentage for a trailing stop: 1.5 is 1.5 %."""
    return Trail_Percent(_money(value))


class Ticket:
    """An order being written; `send` sends it. Prices are whole numbers of ticks."""

    def __init__(self, orders: "Orders", instrument: int, side: Side, amount):
        self._orders = orders
        self._submit = Submit(
            id=0,
            instrument=instrument,
            side=side,
            amount=Amount_Shares(amount) if isinstance(amount, int) else amount,
            kind=OrderKind_Market(),
            class_=OrderClass_Simple(),
            reprice=None,
            time_in_force=TimeInForce.DAY,
            extended_hours=False,
            time_to_live_ms=0,
        )

    def limit(self, price: int) -> Self:
        """At this price or better. After `stop` it makes a stop-limit order."""
        match self._submit.kind:
            case OrderKind_Stop(stop) | OrderKind_StopLimit(StopLimit(stop, _)):
                self._submit.kind = OrderKind_StopLimit(StopLimit(stop, price))
            case _:
                self._submit.kind = OrderKind_Limit(price)
        return self

    def stop(self, price: int) -> Self:
        """Sleeps until a trade is at this price or beyond. With `limit` it makes a stop-limit order."""
        match self._submit.kind:
            case OrderKind_Limit(limit) | OrderKind_StopLimit(StopLimit(_, limit)):
                self._submit.kind = OrderKind_StopLimit(StopLimit(price, limit))
            case _:
                self._submit.kind = OrderKind_Stop(price)
        return self

    def trailing_stop(self, trail) -> Self:
        """Sleeps until the price has turned back from its best by this price or `percent(…)`."""
        self._submit.kind = OrderKind_TrailingStop(Trail_Price(trail) if isinstance(trail, int) else trail)
        return self

    def bracket(self, take_profit: int, stop) -> Self:
        """Once it has filled wholly, two exits of which one cancels the other. A stop is a price or a StopLoss."""
        self._submit.class_ = OrderClass_Bracket(Bracket(take_profit, _stop_loss(stop)))
        return self

    def oco(self, stop) -> Self:
        """It is an exit, a limit order, and here is another one: one cancels the other."""
        self._submit.class_ = OrderClass_Oco(_stop_loss(stop))
        return self

    def oto_take_profit(self, price: int) -> Self:
        """Once it has filled wholly, an exit at this limit price."""
        self._submit.class_ = OrderClass_OtoTakeProfit(price)
        return self

    def oto_stop_loss(self, stop) -> Self:
        """Once it has filled wholly, an exit that limits the loss."""
        self._submit.class_ = OrderClass_OtoStopLoss(_stop_loss(stop))
        return self

    def reprice(self, worst: int) -> Self:
        """If it has to wait in the host's queue, its limit follows the quote, but never worse than this price."""
        self._submit.reprice = worst
        return self

    def time_in_force(self, time_in_force: TimeInForce) -> Self:
        """TimeInForce.DAY if not said."""
        self._submit.time_in_force = time_in_force
        return self

    def extended_hours(self) -> Self:
        self._submit.extended_hours = True
        return self

    def time_to_live_ms(self, time_to_live_ms: int) -> Self:
        """How long it may wait in the host's queue, before it is refused as `late`."""
        self._submit.time_to_live_ms = time_to_live_ms
        return self

    def send(self) -> int:
        """Sends it and tells its id, which no other order of this strategy has."""
        return self._orders._send(self._submit)


class ReplaceTicket:
    """A replacement being written; `send` sends it. What is not said stays as it is."""

    def __init__(self, orders: "Orders", id: int):
        self._orders = orders
        self._replace = Replace(id=id, new_id=0, quantity=None, limit=None, stop=None, time_to_live_ms=0)

    def quantity(self, quantity: int) -> Self:
        """Shares in all, those already filled included."""
        self._replace.quantity = quantity
        return self

    def limit(self, price: int) -> Self:
        self._replace.limit = price
        return self

    def stop(self, price: int) -> Self:
        self._replace.stop = price
        return self

    def time_to_live_ms(self, time_to_live_ms: int) -> Self:
        self._replace.time_to_live_ms = time_to_live_ms
        return self

    def send(self) -> int:
        """Sends it and tells the id of the order that takes the other one's place."""
        return self._orders._send_replace(self._replace)


class Orders:
    """What a strategy wants of one event, and what is known of its orders."""

    def __init__(self):
        self._intents = []
        self._last_id = 0
        # Orders that the host has not answered yet, each with the time until which that is no answer.
        self._unheard = []

    def buy(self, instrument: int, amount) -> Ticket:
        """Starts an order to buy that many shares, or `notional(…)`, at the market until told otherwise."""
        return self.order(instrument, Side.BUY, amount)

    def sell(self, instrument: int, amount) -> Ticket:
        return self.order(instrument, Side.SELL, amount)

    def order(self, instrument: int, side: Side, amount) -> Ticket:
        return Ticket(self, instrument, side, amount)

    def replace(self, id: int) -> ReplaceTicket:
        """Starts an order that takes the place of a working one. A refusal bears the new id and leaves the old one."""
        return ReplaceTicket(self, id)

    def close_position(self, instrument: int) -> int:
        """Leaves a symbol: the host cancels our orders in it, then sells or buys back what is held. Tells the id."""
        id = self._next_id()
        held = host.position(instrument).quantity
        side = Side.SELL if held > 0 else Side.BUY
        self._remember(_pending(id, None, instrument, side, abs(held), OrderKind_Market()), 0)
        self._intents.append(Intent_ClosePosition(ClosePosition(id, instrument)))
        return id

    def cancel(self, id: int):
        """Wants one order cancelled, and its legs. It may still fill until an update says otherwise."""
        self._intents.append(Intent_Cancel(id))

    def cancel_all(self):
        self._intents.append(Intent_CancelAll())

    def set_timer(self, id: int, at: int):
        """Wants `on_timer` called at that time; setting the same id again moves the timer."""
        self._intents.append(Intent_SetTimer(Timer(id, at)))

    def cancel_timer(self, id: int):
        self._intents.append(Intent_CancelTimer(id))

    def signal(self, instrument: int | None, reason: str):
        """Records a decision and its reason, for post-mortems."""
        self._intents.append(Intent_Signal(Signal(instrument, reason)))

    def open_orders(self) -> list[OpenOrder]:
        """Our orders that may still fill, those just sent included."""
        now = host.now()
        open = host.open_orders()
        known = {(order.id, order.leg) for order in open}
        open.extend(order for order, until in self._unheard if now < until and (order.id, order.leg) not in known)
        return open

    def open_orders_of(self, instrument: int) -> list[OpenOrder]:
        return [order for order in self.open_orders() if order.instrument == instrument]

    def _send(self, submit: Submit) -> int:
        submit = with_changes(submit, id=self._next_id())
        quantity = submit.amount.value if isinstance(submit.amount, Amount_Shares) else 0
        order = _pending(submit.id, None, submit.instrument, submit.side, quantity, submit.kind)
        self._remember(order, submit.time_to_live_ms)
        for leg, side, kind in _legs(submit):
            order = _pending(submit.id, leg, submit.instrument, side, quantity, kind, OrderStatus.HELD)
            self._remember(order, submit.time_to_live_ms)
        self._intents.append(Intent_Submit(submit))
        return submit.id

    def _send_replace(self, replace: Replace) -> int:
        replace = with_changes(replace, new_id=self._next_id())
        for old in self.open_orders():
            if old.id == replace.id and old.leg is None:
                quantity = old.quantity if replace.quantity is None else replace.quantity
                kind = _changed(old.kind, replace)
                changes = {"id": replace.new_id, "quantity": quantity, "kind": kind, "status": OrderStatus.PENDING}
                self._remember(with_changes(old, **changes), replace.time_to_live_ms)
                break
        self._intents.append(Intent_Replace(replace))
        return replace.new_id

    def _heard(self, id: int):
        """Any word of the host on an order: from here on its own list tells."""
        self._unheard = [it for it in self._unheard if it[0].id != id]

    def _taken(self) -> list:
        """What the event asked for."""
        intents, self._intents = self._intents, []
        return intents

    def _next_id(self) -> int:
        """Ids count up from the microsecond of the event, so that a strategy that was restarted within a session does
        not repeat an id of its earlier life, and a replay gives the same ids again."""
        self._last_id = max(host.now() // 1_000, self._last_id + 1)
        return self._last_id

    def _remember(self, order: OpenOrder, time_to_live_ms: int):
        if len(self._unheard) == _MAX_UNHEARD:
            self._unheard.pop(0)
        until = host.now() + time_to_live_ms * _MILLISECOND + _UNHEARD_FOR
        self._unheard.append((order, until))


def _pending(id, leg, instrument, side, quantity, kind, status=OrderStatus.PENDING) -> OpenOrder:
    return OpenOrder(id, leg, instrument, side, quantity, 0, kind, status)


def _stop_loss(stop) -> StopLoss:
    return StopLoss(stop, None) if isinstance(stop, int) else stop


def _legs(submit: Submit):
    """The legs besides the order itself: which, which way, what kind."""
    opposite = Side.SELL if submit.side is Side.BUY else Side.BUY
    match submit.class_:
        case OrderClass_Bracket(Bracket(take_profit, stop)):
            yield Leg.TAKE_PROFIT, opposite, OrderKind_Limit(take_profit)
            yield Leg.STOP_LOSS, opposite, _loss(stop)
        case OrderClass_Oco(stop):
            yield Leg.STOP_LOSS, submit.side, _loss(stop)
        case OrderClass_OtoTakeProfit(price):
            yield Leg.TAKE_PROFIT, opposite, OrderKind_Limit(price)
        case OrderClass_OtoStopLoss(stop):
            yield Leg.STOP_LOSS, opposite, _loss(stop)


def _loss(stop: StopLoss):
    return OrderKind_Stop(stop.stop) if stop.limit is None else OrderKind_StopLimit(StopLimit(stop.stop, stop.limit))


def _changed(kind, replace: Replace):
    """A kind with the prices that a replacement changes."""
    match kind:
        case OrderKind_Limit(limit):
            return OrderKind_Limit(limit if replace.limit is None else replace.limit)
        case OrderKind_Stop(stop):
            return OrderKind_Stop(stop if replace.stop is None else replace.stop)
        case OrderKind_StopLimit(StopLimit(stop, limit)):
            stop = stop if replace.stop is None else replace.stop
            limit = limit if replace.limit is None else replace.limit
            return OrderKind_StopLimit(StopLimit(stop, limit))
    return kind
