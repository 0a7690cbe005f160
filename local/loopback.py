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
    # With the protocol named: only then does asyncio set TCP_NODELAY, without which the parts of an
    # answer wait 40 ms for each other.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise LocalError(
            f"Port {port} cannot be used ({os.strerror(error.errno or 0)}): "
            "stop what listens there, or choose another port."
        ) from error
    return listener
