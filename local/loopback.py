"""Listens on loopback only, so that no other machine reaches the local server or its engine."""

import os
import socket

from local.errors import LocalError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that already listens, so that no other process can take its port.

    Args:
        port: 0 selects a free port.

    Raises:
        LocalError: the port is in use, or this user must not use it.
    """
    # asyncio sets TCP_NODELAY only where the protocol is given here. Without it, the parts of a
    # response wait 40 ms for each other.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise LocalError(
            f"Port {port} cannot be used ({os.strerror(error.errno or 0)}): "
            "stop the program that listens there, or choose another port "
            "(make run: set PORT, and for a second server also DATA_DIR)."
        ) from error
    return listener
