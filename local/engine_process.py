"""Runs MiniStack on an open socket; `engine.py` starts it in the Python environment of the engine.

It imports nothing of this repository, since that environment holds MiniStack only.

Usage: engine_process.py SOCKET_FD [stop-at-end-of-input]
"""

import asyncio
import os
import signal
import sys
import threading
import time

# For MiniStack only: its Lambda workers inherit the environment, and keep their own log level.
os.environ["LOG_LEVEL"] = "WARNING"
from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack.app import app  # type: ignore[import-not-found]

del os.environ["LOG_LEVEL"]

KILL_SECONDS = 10  # until a stop that hangs becomes a kill


def stop_at_end_of_input() -> None:
    """Stop as on SIGTERM when the starting process has ended, for any reason."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a thread in a buffered read aborts the exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(KILL_SECONDS)
    os.killpg(0, signal.SIGKILL)


if sys.argv[2:] == ["stop-at-end-of-input"]:
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()

config = Config()
config.bind = [f"fd://{sys.argv[1]}"]
# Seconds; as MiniStack's own start does, longer than clients keep idle connections.
config.keep_alive_timeout = 75
config.graceful_timeout = 0.5  # seconds for open requests at a stop
asyncio.run(serve(app, config))
