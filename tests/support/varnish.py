"""Varnish as the edge cache, in front of a server on loopback: a real shared cache."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import urllib3

from tests.support.faulty_dynamodb import unused_endpoint
from tests.support.waiting import eventually

VCL: Final = Path(__file__).with_name("edge.vcl")
REQUIREMENT: Final = "Varnish (Debian: sudo apt-get install varnish)"

_SYSTEM_PATH: Final = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
_PARAMETERS: Final = {
    "default_ttl": "0",  # a response without a life is not stored
    "default_grace": "0",
    "default_keep": "0",
    "http_gzip_support": "off",  # the cache keeps the coding of the gateway, and its entity tag
    "timeout_idle": "600",  # seconds; a client that keeps a connection open may rest
    "thread_pools": "1",
    "thread_pool_min": "10",
    "thread_pool_max": "1000",
}


def varnishd() -> str | None:
    """Return the path of the program; None if it is not installed."""
    return shutil.which("varnishd") or shutil.which("varnishd", path=_SYSTEM_PATH)


@dataclass(frozen=True, slots=True)
class Edge:
    """The running cache.

    Attributes:
        address: its URL without a path, such as http://127.0.0.1:8081.
    """

    address: str

    def invalidate(self, paths: Sequence[str]) -> None:
        """Remove responses by their paths; a `*` at the end stands for any text.

        It returns when no later request gets one of them.
        """
        for path in paths:
            prefix = re.escape(path.removesuffix("*"))
            pattern = f"^{prefix}" if path.endswith("*") else f"^{prefix}$"
            headers = {"X-Edge-Pattern": pattern}
            banned = urllib3.request("BAN", f"{self.address}/", headers=headers, retries=False)
            assert banned.status == 200, banned.data


@contextmanager
def varnish(origin: str, folder: Path) -> Iterator[Edge]:
    """Run the cache on a free port.

    Args:
        origin: the URL of the server behind it, such as http://127.0.0.1:8000.
        folder: an empty folder for its files.
    """
    program = varnishd()
    assert program, f"This needs {REQUIREMENT}."
    configuration = folder / "edge.vcl"
    text = VCL.read_text(encoding="utf-8").replace("ORIGIN_PORT", str(urlsplit(origin).port))
    configuration.write_text(text, encoding="utf-8")
    address = unused_endpoint()
    parameters = [part for pair in _PARAMETERS.items() for part in ("-p", "=".join(pair))]
    command = [
        *(program, "-F", "-j", "none", "-n", str(folder / "work"), "-f", str(configuration)),
        *("-a", urlsplit(address).netloc, "-T", "none", "-s", "malloc,64m", "-l", "8m"),
        *parameters,
    ]
    log = folder / "varnish.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    edge = Edge(address)

    def is_ready() -> bool | None:
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        try:
            edge.invalidate(["/none"])
        except urllib3.exceptions.HTTPError:
            return None
        return True

    try:
        eventually(is_ready, "the edge cache", seconds=60)
        yield edge
    finally:
        process.terminate()
        process.wait(timeout=30)
