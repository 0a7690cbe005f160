"""AWS Lambda's runtime API on loopback, for one function process at a time.

It sends events, receives responses and records the time of both; it reads neither.
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
_FUNCTION_SECONDS = 10  # the time-out of the deployed functions


class FunctionFailed(Exception):
    """The function reported an error, or sent no response in time."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One response of a function.

    Attributes:
        payload: the response, as JSON text.
        sent_at: when the event was sent, in seconds of `time.perf_counter`.
        received_at: when the first line of the response arrived.
    """

    payload: bytes
    sent_at: float
    received_at: float


@dataclass(frozen=True, slots=True)
class _Report:
    path: str
    payload: bytes
    received_at: float


class RuntimeApi:
    """A runtime API that listens inside a `with` block; functions connect to `address`.

    `seconds` is how long it waits for a response.
    """

    def __init__(self, seconds: float = _FUNCTION_SECONDS) -> None:
        self._seconds = seconds
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
        """Send an event as soon as the function asks for one, and return the response.

        Raises:
            FunctionFailed: the function did not start, raised an exception, or took too long.
        """
        self._server.events.put(event)
        try:
            report = self._server.reports.get(timeout=self._seconds)
        except Empty:
            raise FunctionFailed(
                f"No response within {self._seconds:g} s: run the function alone to see why."
            ) from None
        if not report.path.endswith("/response"):
            raise FunctionFailed(report.payload.decode())
        return Invocation(report.payload, self._server.event_sent_at, report.received_at)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    event_sent_at = 0.0

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.events: SimpleQueue[bytes | None] = SimpleQueue()
        self.reports: SimpleQueue[_Report] = SimpleQueue()
        self.number = 0


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body go out in one segment
    server: _Server

    @override
    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # the process was killed
            super().handle()

    @override
    def parse_request(self) -> bool:
        self._received_at = time.perf_counter()
        return super().parse_request()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: the time for it would count as latency."""

    def do_GET(self) -> None:
        """Send the next event."""
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
        self.server.event_sent_at = time.perf_counter()
        self.wfile.flush()

    def do_POST(self) -> None:
        """Receive a response or an error report."""
        payload = self._body()
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        self.server.reports.put(_Report(self.path, payload, self._received_at))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)
