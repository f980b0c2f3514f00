"""Brackets, one-cancels-other and one-triggers-other."""

from alpaca.trading.enums import OrderClass, OrderStatus, OrderType, QueryOrderStatus
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)
from desk import BUY, DAY, GTC, SELL, check, equal, in_session, refused

before = in_session

RULE = 42210000


def bracket(desk, symbol, limit=None, profit=None, stop=None, stop_limit=None, qty=2, side=BUY, **more):
    exits = {
        "take_profit": TakeProfitRequest(limit_price=profit) if profit else None,
        "stop_loss": StopLossRequest(stop_price=stop, limit_price=stop_limit) if stop else None,
    }
    fields = {
        "symbol": symbol,
        "qty": qty,
        "side": side,
        "time_in_force": DAY,
        "order_class": OrderClass.BRACKET,
        **{key: value for key, value in exits.items() if value},
        **more,
    }
    if limit:
        return desk.trading.submit_order(LimitOrderRequest(limit_price=limit, **fields))
    return desk.trading.submit_order(MarketOrderRequest(**fields))


def legs(order):
    """The take-profit and the stop-loss of an order."""
    by_type = {leg.order_type: leg for leg in order.legs}
    return by_type.get(OrderType.LIMIT), by_type.get(OrderType.STOP) or by_type.get(OrderType.STOP_LIMIT)


def entered(desk, order):
    """The legs of an order, once it has filled."""
    desk.fills(order)
    return legs(desk.group(order.id))


def start(desk, symbol, price=70.0):
    desk.market.quote(symbol, round(price - 0.01, 2), round(price + 0.01, 2), 10_000)
    desk.market.trade(symbol, price)
    desk.flat(symbol)


@check("2.5 a bracket is answered at once with two held legs of the other side")
def answer(desk):
    start(desk, "KO")
    order = bracket(desk, "KO", limit=60, profit=80, stop=50, stop_limit=49)
    equal((order.order_class, len(order.legs)), (OrderClass.BRACKET, 2), "class and legs")
    profit, stop = legs(order)
    equal(
        (profit.status, profit.side, profit.limit_price, profit.qty),
        (OrderStatus.HELD, SELL, "80", "2"),
        "profit",
    )
    equal((stop.status, stop.stop_price, stop.limit_price), (OrderStatus.HELD, "50", "49"), "stop")
    equal((stop.order_type, profit.order_class), (OrderType.STOP_LIMIT, OrderClass.BRACKET), "type and class")


@check("2.5 a canceled bracket entry takes its legs with it")
def cancel_entry(desk):
    order = desk.trading.get_orders(GetOrdersRequest(symbols=["KO"], nested=True))[0]
    desk.trading.cancel_order_by_id(order.id)
    desk.reaches(order.id, "canceled")
    for leg in order.legs:
        desk.reaches(leg.id, "canceled")


@check("2.5 after the whole entry has filled the take-profit works and the stop-loss is held")
def entry_fills(desk):
    start(desk, "KO")
    profit, stop = entered(desk, bracket(desk, "KO", profit=75, stop=65))
    desk.reaches(profit.id, "new")
    equal(desk.see(stop.id).status, OrderStatus.HELD, "stop-loss")
    equal(desk.position("KO")["qty_available"], "0", "the shares are held once")


@check("2.5 a filled take-profit cancels the stop-loss")
def profit_fills(desk):
    profit, stop = legs(last_filled(desk, "KO"))
    desk.market.quote("KO", 75.00, 75.02, 10_000)
    desk.fills(profit)
    desk.reaches(stop.id, "canceled")
    equal([it for it in desk.raw.get("/positions") if it["symbol"] == "KO"], [], "position")


def last_filled(desk, symbol):
    found = desk.trading.get_orders(
        GetOrdersRequest(symbols=[symbol], nested=True, status=QueryOrderStatus.CLOSED)
    )
    return next(it for it in found if it.legs and it.status == OrderStatus.FILLED)


@check("2.5 a stop-loss whose price trades cancels the take-profit and sells")
def stop_fires(desk):
    start(desk, "KO")
    profit, stop = entered(desk, bracket(desk, "KO", profit=75, stop=65))
    desk.market.quote("KO", 64.90, 64.92, 10_000)
    desk.market.trade("KO", 64.91)
    equal(desk.fills(stop).filled_avg_price, "64.9", "price")
    desk.reaches(profit.id, "canceled")


@check("2.5 one canceled exit cancels the other")
def cancel_exit(desk):
    start(desk, "KO")
    profit, stop = entered(desk, bracket(desk, "KO", profit=75, stop=65))
    desk.reaches(profit.id, "new")
    desk.trading.cancel_order_by_id(profit.id)
    desk.reaches(profit.id, "canceled")
    desk.reaches(stop.id, "canceled")
    desk.flat("KO")


@check("2.5 a sell bracket is the mirror: profit below, stop above")
def sell_bracket(desk):
    start(desk, "KO")
    profit, stop = entered(desk, bracket(desk, "KO", profit=65, stop=75, side=SELL))
    equal((profit.side, stop.side), (BUY, BUY), "sides of the legs")
    desk.market.quote("KO", 64.98, 65.00, 10_000)
    desk.fills(profit)
    desk.reaches(stop.id, "canceled")


@check("2.5 OTO holds exactly one leg, which works once the entry has filled")
def oto(desk):
    start(desk, "DIS", 90)
    order = desk.trading.submit_order(
        MarketOrderRequest(
            symbol="DIS",
            qty=2,
            side=BUY,
            time_in_force=GTC,
            order_class=OrderClass.OTO,
            stop_loss=StopLossRequest(stop_price=80),
        )
    )
    equal((order.order_class, len(order.legs)), (OrderClass.OTO, 1), "class and legs")
    desk.fills(order)
    leg = desk.reaches(order.legs[0].id, "new")
    equal((leg.order_type, leg.stop_price), (OrderType.STOP, "80"), "the leg")
    desk.flat("DIS")


@check("2.5 the parent of an OCO is the take-profit, its leg the stop-loss")
def oco(desk):
    start(desk, "DIS", 90)
    desk.hold("DIS", 2)
    order = desk.trading.submit_order(
        LimitOrderRequest(
            symbol="DIS",
            qty=2,
            side=SELL,
            time_in_force=GTC,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=100),
            stop_loss=StopLossRequest(stop_price=80),
        )
    )
    equal((order.order_type, order.limit_price, len(order.legs)), (OrderType.LIMIT, "100", 1), "the parent")
    equal(order.legs[0].stop_price, "80", "the leg's stop_price")
    desk.reaches(order.id, "new")
    equal(desk.see(order.legs[0].id).status, OrderStatus.HELD, "the leg")


@check("2.5 when the stop of an OCO fires its take-profit is canceled")
def oco_stop(desk):
    order = desk.trading.get_orders(GetOrdersRequest(symbols=["DIS"], nested=True))[0]
    desk.market.quote("DIS", 79.90, 79.92, 10_000)
    desk.market.trade("DIS", 79.91)
    equal(desk.fills(order.legs[0]).filled_avg_price, "79.9", "price")
    desk.reaches(order.id, "canceled")


@check("2.5 an OCO without a position is refused")
def oco_flat(desk):
    start(desk, "DIS", 90)
    found = desk.http(
        "POST",
        "/v2/orders",
        json={
            "symbol": "DIS",
            "qty": "2",
            "side": "sell",
            "type": "limit",
            "time_in_force": "day",
            "order_class": "oco",
            "take_profit": {"limit_price": "100"},
            "stop_loss": {"stop_price": "80"},
        },
    )
    assert found.status_code in (403, 422), found.text


@check("2.5 a bracket wants both exits, an OTO exactly one")
def exits(desk):
    start(desk, "KO")
    profit, stop = {"take_profit": {"limit_price": "75"}}, {"stop_loss": {"stop_price": "65"}}
    cases = [
        ("bracket", profit),
        ("bracket", stop),
        ("bracket", {}),
        ("oto", {}),
        ("oto", {**profit, **stop}),
        ("oco", stop),
    ]
    for order_class, more in cases:
        # The SDK itself would not send these.
        fields = {"symbol": "KO", "qty": "2", "side": "buy", "type": "market", "time_in_force": "day", **more}
        answer = desk.http("POST", "/v2/orders", json={**fields, "order_class": order_class})
        equal(answer.status_code, 422, f"status for {order_class} with {list(more)}")


@check("2.1 exits the wrong way round: take_profit.limit_price must be > stop_loss.stop_price")
def wrong_way(desk):
    refused(
        lambda: bracket(desk, "KO", limit=70, profit=60, stop=65),
        422,
        RULE,
        "take_profit.limit_price must be > stop_loss.stop_price",
    )


@check("2.1 a stop-loss stands at least a cent below the base price")
def stop_too_near(desk):
    refused(lambda: bracket(desk, "KO", limit=70, profit=80, stop=70), 422, RULE, "stop.price must ")


@check("2.5 groups are DAY or GTC and never for extended hours")
def group_rules(desk):
    refused(lambda: bracket(desk, "KO", limit=60, profit=80, stop=50, extended_hours=True), 422)
    refused(lambda: bracket(desk, "KO", limit=60, profit=80, stop=50, time_in_force="ioc"), 422)


@check("6.5 a bracket is exempt from the wash-trade table")
def no_wash(desk):
    start(desk, "KO")
    desk.hold("KO", 2)
    resting = desk.limit(SELL, "KO", 75)
    desk.fills(bracket(desk, "KO", profit=80, stop=60, qty=1))
    equal(desk.see(resting.id).status, OrderStatus.NEW, "the resting order")
    desk.flat("KO")
