"""The SDK's streams, each on a thread of its own, with what they delivered kept in order."""

import threading

from alpaca.data.enums import DataFeed
from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.stream import TradingStream
from market import until


class Stream:
    """A running stream of the SDK."""

    def __init__(self, stream):
        self.stream = stream
        self.seen = []
        self.thread = threading.Thread(target=stream.run, daemon=True)

    async def keep(self, message):
        self.seen.append(message)

    def start(self):
        self.thread.start()
        # The SDK has no word for it: it says that it runs when the handshake is through.
        until("the stream runs", lambda: self.stream._running)

    def wait(self, what, wanted):
        """The first message that is wanted, once it has come."""
        return until(
            what, lambda: next((it for it in list(self.seen) if wanted(it)), None), lambda: self.seen[-3:]
        )

    def close(self):
        self.stream.stop()
        self.thread.join(timeout=15)
        assert not self.thread.is_alive(), "the stream does not stop"


class Updates(Stream):
    """Trade updates."""

    def __init__(self, url, key, secret, raw=False):
        super().__init__(TradingStream(key, secret, paper=True, raw_data=raw, url_override=url))
        self.stream.subscribe_trade_updates(self.keep)
        self.start()

    def of(self, order_id):
        """The events of an order so far, in order."""
        return [it for it in list(self.seen) if str(it.order.id) == str(order_id)]

    def names(self, order_id):
        return [getattr(it.event, "value", it.event) for it in self.of(order_id)]

    def event(self, order_id, name):
        """Waits for an event of an order."""
        wanted = lambda it: str(it.order.id) == str(order_id) and getattr(it.event, "value", it.event) == name
        return self.wait(f"event {name} of {order_id} (seen: {self.names(order_id)})", wanted)


class Data(Stream):
    """Market data."""

    def __init__(self, base, key, secret, path="v2/iex", raw=False):
        url = f"{base}/{path}"
        super().__init__(StockDataStream(key, secret, raw_data=raw, feed=DataFeed.IEX, url_override=url))


class News(Stream):
    def __init__(self, base, key, secret):
        super().__init__(NewsDataStream(key, secret, url_override=f"{base}/v1beta1/news"))
