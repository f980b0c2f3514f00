"""Plays topics against a broker: run.py ADDR:PORT TOPIC... One line of JSON a check."""

import faulthandler
import importlib
import json
import logging
import sys
import traceback
from pathlib import Path

import desk

# Longer than every suite takes on a slow machine, shorter than the patience of the test runner.
BOUND_SECS = 200
HERE = Path(__file__).parent
MOST_CHARACTERS = 1_000


def play(topic, broker):
    """Every check of a topic, in the order of its file; after one that fails the next ones run, too."""
    module = importlib.import_module(topic)
    trouble = attempt(getattr(module, "before", lambda _: None), broker)
    for name, fact, run in desk.checks_of(module):
        detail = trouble or attempt(run, broker)
        line = {"check": f"{topic}.{name}", "fact": fact, "ok": not detail, "detail": detail}
        print(json.dumps(line), flush=True)


def attempt(run, broker):
    """What went wrong, or nothing."""
    try:
        run(broker)
    except Exception as error:
        frames = [it for it in traceback.extract_tb(error.__traceback__) if Path(it.filename).parent == HERE]
        where = " < ".join(f"{Path(it.filename).name}:{it.lineno}" for it in reversed(frames[1:]))
        return f"{type(error).__name__}: {str(error)[:MOST_CHARACTERS]} ({where})"
    return ""


def main():
    faulthandler.dump_traceback_later(BOUND_SECS, exit=True)
    # The SDK logs every refused connection; the checks look at what it does.
    logging.disable(logging.CRITICAL)
    address, *topics = sys.argv[1:]
    broker = desk.Desk(address)
    for topic in topics:
        play(topic, broker)
    broker.close()


main()
