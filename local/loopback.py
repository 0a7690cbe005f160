"""Listening on this machine alone: no other machine may reach the local server or its engine."""

import os
import socket

from local.errors import LocalError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket that already listens, so that no other process can take the port in between.

    Args:
        port: 0 takes a free one.

    Raises:
        LocalError: the port is in use, or not ours to use.
    """
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise LocalError(
            f"Port {port} cannot be used ({os.strerror(error.errno or 0)}): "
            "stop what listens there, or choose another port."
        ) from error
