"""What the exchange may do with a resting order by itself, in the orders and on the stream."""

from alpaca.trading.enums import OrderStatus
from desk import BUY, check, equal, in_session, refused

before = in_session


def happens(desk, event):
    """An order to which this happened."""
    desk.updates
    order = desk.reaches(desk.limit(BUY, "XOM", 50).id, "new")
    desk.market.order_event(order.id, event)
    update = desk.updates.event(order.id, event)
    equal(update.order.status.value, event, "status in the update")
    return desk.see(order.id)


@check("2.5 an order may be rejected after it was accepted: failed_at says when, the stream says rejected")
def rejected(desk):
    order = happens(desk, "rejected")
    equal(order.status, OrderStatus.REJECTED, "status")
    assert order.failed_at
    refused(
        lambda: desk.trading.cancel_order_by_id(order.id),
        422,
        42210000,
        'order is already in "rejected" state',
    )


@check("2.5 done_for_day ends the day of an order, not the order")
def done_for_day(desk):
    equal(happens(desk, "done_for_day").status, OrderStatus.DONE_FOR_DAY, "status")


@check("2.5 an order may be stopped, suspended or calculated; the SDK knows each")
def rare(desk):
    for event in ("stopped", "suspended", "calculated"):
        equal(happens(desk, event).status.value, event, "status")


@check("2.5 an order may be canceled or expire without the client's doing")
def unasked(desk):
    canceled, expired = happens(desk, "canceled"), happens(desk, "expired")
    assert canceled.canceled_at and expired.expired_at
    equal([it.filled_qty for it in (canceled, expired)], ["0", "0"], "filled_qty")
