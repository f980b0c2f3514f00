"""What a user of alpaca-py writes: a limit order for each quote."""

import sys

from alpaca.data.live.stock import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest


def main(address, symbol):
    trading = TradingClient("K", "S", paper=True, url_override=f"http://{address}")
    side = OrderSide.SELL

    async def on_quote(quote):
        nonlocal side
        side = OrderSide.SELL if side == OrderSide.BUY else OrderSide.BUY
        price = quote.ask_price if side == OrderSide.BUY else quote.bid_price
        trading.submit_order(
            LimitOrderRequest(
                symbol=quote.symbol,
                qty=1,
                side=side,
                limit_price=price,
                time_in_force=TimeInForce.DAY,
            )
        )

    stream = StockDataStream("K", "S", url_override=f"ws://{address}/v2/iex")
    stream.subscribe_quotes(on_quote, symbol)
    stream.run()


main(sys.argv[1], sys.argv[2])
