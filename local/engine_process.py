"""Runs MiniStack on a socket it is given; started by `engine.py` in the engine's own environment.

It imports nothing of ours: that environment holds MiniStack alone.

Usage: engine_process.py SOCKET_FD [stop-at-end-of-input]
"""

import asyncio
import os
import signal
import sys
import threading
import time

# MiniStack's own level only: its Lambda workers inherit the environment, and would log no less.
os.environ["LOG_LEVEL"] = "WARNING"
from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack.app import app  # type: ignore[import-not-found]

del os.environ["LOG_LEVEL"]

LAST_RESORT_SECONDS = 10


def stop_at_end_of_input() -> None:
    """Stop as on SIGTERM once the starting process has gone, however it went."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a thread inside a buffer aborts the exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_RESORT_SECONDS)
    os.killpg(0, signal.SIGKILL)


if sys.argv[2:] == ["stop-at-end-of-input"]:
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()

config = Config()
config.bind = [f"fd://{sys.argv[1]}"]
config.keep_alive_timeout = (
    75  # seconds; as MiniStack's own start does, longer than clients keep idle connections
)
config.graceful_timeout = 0.5  # seconds for requests in flight when it is told to stop
asyncio.run(serve(app, config))
