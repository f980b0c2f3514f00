"""A kill switch of a few lines, as they are found in bots: wait for a file, kill the bot, cancel, look."""

import json
import os
import signal
import sys
import time

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.requests import GetOrdersRequest

url, bot, flag = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = TradingClient("k", "s", paper=True, url_override=url)
client.get_account()


def boot_ms():
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)


print("waiting", flush=True)
while not os.path.exists(flag):
    time.sleep(0.05)
os.kill(bot, signal.SIGKILL)
moments = {"host_dead": boot_ms(), "first_cancel": boot_ms()}
client.cancel_orders()
while client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=500)):
    time.sleep(0.05)
moments["zero_seen"] = boot_ms()
print(json.dumps(moments), flush=True)
