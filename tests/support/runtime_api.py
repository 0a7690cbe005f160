"""AWS Lambda's runtime API on loopback, for one function process at a time.

It knows no product; it hands events out, takes answers in and says when.
Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
"""

import contextlib
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, override

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:000000000000:function:measured"
_NEXT_PATH = "/2018-06-01/runtime/invocation/next"
_FUNCTION_SECONDS = 10  # the time-out that the functions are deployed with


class FunctionFailed(Exception):
    """The function reported an error, or answered nothing in time."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One answer of a function.

    Attributes:
        payload: the JSON text that it answered.
        handed_out: when the event was sent, in seconds of `time.perf_counter`.
        answered: when the first line of the answer was there.
    """

    payload: bytes
    handed_out: float
    answered: float


@dataclass(frozen=True, slots=True)
class _Report:
    path: str
    payload: bytes
    received: float


class RuntimeApi:
    """A runtime API that listens while it is entered; `address` is what functions connect to."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Exchange)
        self._serving = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._serving.join()

    def invoke(self, event: bytes) -> Invocation:
        """Give the function an event, now or as soon as it asks, and return what it answers.

        Raises:
            FunctionFailed: it did not start, raised, or took longer than a function may.
        """
        self._server.events.put(event)
        try:
            report = self._server.reports.get(timeout=_FUNCTION_SECONDS)
        except Empty:
            raise FunctionFailed("The function did not answer in time.") from None
        if not report.path.endswith("/response"):
            raise FunctionFailed(report.payload.decode())
        return Invocation(report.payload, self._server.handed_out, report.received)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    handed_out = 0.0

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.events: SimpleQueue[bytes | None] = SimpleQueue()
        self.reports: SimpleQueue[_Report] = SimpleQueue()
        self.number = 0


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one segment
    server: _Server

    @override
    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # a function that is ended hangs up
            super().handle()

    @override
    def parse_request(self) -> bool:
        self._received = time.perf_counter()
        return super().parse_request()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: a line for each request would be measured with it."""

    def do_GET(self) -> None:
        """Hand out the next event."""
        if self.path != _NEXT_PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self.server.number += 1
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", f"invocation-{self.server.number}")
        deadline = int((time.time() + _FUNCTION_SECONDS) * 1000)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
        self.end_headers()
        self.wfile.write(event)
        self.server.handed_out = time.perf_counter()
        self.wfile.flush()

    def do_POST(self) -> None:
        """Take in an answer, or the report of a failure."""
        payload = self._body()
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        self.server.reports.put(_Report(self.path, payload, self._received))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)
