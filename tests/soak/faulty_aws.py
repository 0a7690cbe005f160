"""A server between the event functions and the engine, which lets their calls fail at random.

It also notes when the engine stored each object of the audit trail.
"""

import collections
import contextlib
import fnmatch
import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_UPSTREAM_SECONDS: Final = 60


class Response(NamedTuple):
    """A response of the engine, or one in its place."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Call(NamedTuple):
    """A call of a function.

    Attributes:
        operation: such as `PutEvents` or `PUT /bucket/key`.
        body: the body of its request.
        forward: sends the request, or one with another body, to the engine.
    """

    operation: str
    body: bytes
    forward: Callable[[bytes], Response]


type Fault = Callable[[Call], Response | None]
"""What happens to a call instead of a response; None resets the connection."""


def _failing(status: int, body: str) -> Fault:
    return lambda _: Response(status, {}, body.encode())


def _reset(_: Call) -> None:
    return None


def _executed(fault: Fault) -> Fault:
    """Return a fault that lets the engine execute the call first."""

    def executed_first(call: Call) -> Response | None:
        call.forward(call.body)
        return fault(call)

    return executed_first


def _refuse_some(call: Call) -> Response:
    """Let the bus accept every second event only."""
    request = json.loads(call.body)
    entries = request["Entries"]
    accepted = {**request, "Entries": entries[1::2]}
    results = [{"ErrorCode": "ThrottlingException", "ErrorMessage": "a test"} for _ in entries]
    if accepted["Entries"]:
        response = json.loads(call.forward(json.dumps(accepted).encode()).body)
        results[1::2] = response["Entries"]
    failed = sum("EventId" not in result for result in results)
    document = {"FailedEntryCount": failed, "Entries": results}
    return Response(HTTPStatus.OK, {}, json.dumps(document).encode())


_SERVER_ERROR: Final = _failing(500, '{"__type": "InternalFailure"}')
_THROTTLED: Final = _failing(400, '{"__type": "ThrottlingException", "message": "a test"}')
_SLOW_DOWN: Final = _failing(503, "<Error><Code>SlowDown</Code></Error>")
_FAULTS: Final[Mapping[str, Sequence[tuple[str, Fault]]]] = {
    "PutEvents": (
        ("the bus fails", _SERVER_ERROR),
        ("the bus throttles", _THROTTLED),
        ("the bus refuses some events", _refuse_some),
        ("the connection to the bus is reset", _reset),
        ("the bus has the events, but its response is lost", _executed(_reset)),
    ),
    "PUT /*": (
        ("the bucket throttles", _SLOW_DOWN),
        ("the connection to the bucket is reset", _reset),
        ("the bucket has the object, but its response is lost", _executed(_reset)),
    ),
    "SendMessage": (
        ("the queue for parked records fails", _SERVER_ERROR),
        ("a parked record arrived, but the response is lost", _executed(_reset)),
    ),
}


@dataclass
class FaultyAws:
    """The running server.

    Attributes:
        endpoint_url: its URL.
        share: the share of calls that fail, from 0 to 1.
        injected: how often each fault was injected, by its name.
        stored_at: when the engine stored each object, by its key; seconds since 1970.
    """

    endpoint_url: str
    seed: int
    share: float = 0.0
    injected: collections.Counter[str] = field(default_factory=collections.Counter)
    stored_at: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 (no secret)
        self._waiting: dict[str, list[tuple[str, Fault]]] = {}

    def response_to(self, call: Call) -> Response | None:
        """Return the response to a call, or None to reset its connection."""
        with self._lock:
            name, fault = self._next_fault(call.operation)
            self.injected[name] += 1
        return fault(call)

    def has_injected_all(self, operation: str) -> bool:
        """Whether each fault of an operation, such as `PutEvents`, was injected at least once."""
        return all(self.injected[name] for name, _ in _FAULTS[operation])

    def note_stored(self, operation: str) -> None:
        """Note that the engine has stored an object."""
        key = unquote(operation).split("/", 2)[2]
        self.stored_at.setdefault(key, time.time())

    def _next_fault(self, operation: str) -> tuple[str, Fault]:
        if self._random.random() < self.share:
            for pattern, faults in _FAULTS.items():
                if fnmatch.fnmatchcase(operation, pattern):
                    return self._turn(pattern, faults)
        return "passed on", lambda call: call.forward(call.body)

    def _turn(self, pattern: str, faults: Sequence[tuple[str, Fault]]) -> tuple[str, Fault]:
        """Return a fault at random, but none a second time before each has had its turn."""
        waiting = self._waiting.setdefault(pattern, [])
        if not waiting:
            waiting.extend(self._random.sample(faults, len(faults)))
        return waiting.pop()


@contextmanager
def faulty_aws(engine_url: str, seed: int) -> Iterator[FaultyAws]:
    """Run the server on a free port; the engine may restart on its own port meanwhile."""
    address = urlsplit(engine_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = self.headers.get("X-Amz-Target", "")
            operation = target.rpartition(".")[2] or f"{self.command} {self.path}"
            response = server_state.response_to(
                Call(operation, body, lambda sent: self._forward(operation, sent))
            )
            if response is None:
                linger = struct.pack("ii", 1, 0)  # closing sends an RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                return
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_POST = do_PUT = _handle  # noqa: N815

        def _forward(self, operation: str, body: bytes) -> Response:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"expect", "content-length", "connection"}
            }
            engine = http.client.HTTPConnection(address, timeout=_UPSTREAM_SECONDS)
            with contextlib.closing(engine):
                engine.request(self.command, self.path, body, headers)
                response = engine.getresponse()
                kept = {
                    name: value
                    for name, value in response.getheaders()
                    if name.lower().startswith(("x-amz", "content-type", "etag"))
                }
                content = response.read()
            if self.command == "PUT" and response.status == HTTPStatus.OK:
                server_state.note_stored(operation)
            return Response(response.status, kept, content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Print nothing: clients and the engine may disconnect."""

    server = Server(("127.0.0.1", 0), Handler)
    server_state = FaultyAws(f"http://127.0.0.1:{server.server_port}", seed)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server_state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
