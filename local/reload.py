"""Serves in a child process, and starts a new one when the code of the functions or server changes.

The parent keeps the port open, so a request during a restart waits for the new process.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from socket import socket

import uvicorn
from uvicorn.supervisors.statreload import StatReload

from product_tools.repository import REPOSITORY

_CODE = [str(REPOSITORY / folder) for folder in ("src", "local")]


def serve_and_reload(serve: Callable[[list[socket] | None], None], listener: socket) -> None:
    """Serve in child processes until a stop signal.

    Args:
        serve: a function of a module, which the child calls with the listening sockets as
            `sockets`; it returns at SIGTERM.
        listener: the port.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    config = uvicorn.Config("", log_config=None, reload=True, reload_dirs=_CODE)
    StatReload(config, serve, [listener]).run()


def end_with_parent() -> None:
    """Send SIGTERM to this process when its parent ends, also when that is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
