"""What a user of alpaca-py writes: a handler that puts each quote into the queue of its symbol."""

import os
import resource
import sys
import time
from collections import deque

from alpaca.data.live.stock import StockDataStream

QUEUE = 256


def main(address, mode, names):
    queues = {name: deque(maxlen=QUEUE) for name in [*names, "END"]}
    waits = [0] * 40_000
    first = True
    count = 0
    raw = mode == "raw"
    started = 0.0

    def ready():
        nonlocal first, started
        first = False
        started = time.process_time_ns()
        print("ready 1", flush=True)

    def end():
        print("end", time.monotonic_ns())
        if mode == "waits":
            for at in waits[:30_000]:
                print("at", at)
        else:
            print("quotes", count)
            print("cpu", time.process_time_ns() - started)
            print("rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        sys.stdout.flush()
        time.sleep(60)
        os._exit(0)

    async def on_quote(quote):
        nonlocal count
        symbol = quote["S"] if raw else quote.symbol
        queues[symbol].append(quote)
        count += 1
        if first:
            ready()
        elif symbol == "END":
            end()

    async def on_timed_quote(quote):
        await on_quote(quote)
        waits[quote.timestamp.microsecond] = time.monotonic_ns()

    stream = StockDataStream("K", "S", raw_data=raw, url_override=f"ws://{address}/v2/iex")
    stream.subscribe_quotes(on_timed_quote if mode == "waits" else on_quote, *names, "END")
    stream.run()


main(sys.argv[1], sys.argv[2], sys.argv[3].split(","))
