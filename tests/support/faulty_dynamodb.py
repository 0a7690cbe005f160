"""A loopback server that speaks DynamoDB's protocol badly, on demand.

Alone it only fails. In front of a real engine it passes requests on, and fails those it is told to,
before or after the engine has carried them out. It judges no request.
"""

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

type Fault = Callable[["Exchange"], None]

_DRIP_SECONDS = 0.05


@dataclass(frozen=True)
class Exchange:
    """One request and the connection to answer it on.

    Attributes:
        operation: such as `GetItem`.
        closing: set when the server stops, for faults that never end.
    """

    operation: str
    request: bytes
    headers: dict[str, str]
    connection: socket.socket
    closing: threading.Event
    upstream: str | None

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Have the engine carry the request out; its answer."""
        assert self.upstream, "there is no engine behind this server"
        engine = http.client.HTTPConnection(self.upstream, timeout=10)
        with contextlib.closing(engine):
            engine.request("POST", "/", self.request, self.headers)
            response = engine.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def reply(self, status: int, body: bytes, length: int | None = None) -> None:
        """Answer; `length` is what the answer claims to be long."""
        claimed = len(body) if length is None else length
        self.connection.sendall(_head(status, claimed) + body)

    def drip(self, piece: bytes) -> None:
        """Send a piece now and then until the server stops or the caller hangs up."""
        while not self.closing.wait(_DRIP_SECONDS):
            self.connection.sendall(piece)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def rejected(code: str, message: str = "no", status: int = 400) -> Fault:
    """An error of DynamoDB's, by its code."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}

    def fault(exchange: Exchange) -> None:
        exchange.reply(status, json.dumps(body).encode())

    return fault


def answered(body: bytes, status: int = 200) -> Fault:
    """An answer with this body, whatever was asked."""

    def fault(exchange: Exchange) -> None:
        exchange.reply(status, body)

    return fault


def hang(exchange: Exchange) -> None:
    """Never answer."""
    exchange.closing.wait()


def reset(exchange: Exchange) -> None:
    """Break the connection: without time to linger, closing sends an RST."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def hang_up(exchange: Exchange) -> None:
    """Close the connection without a word."""
    exchange.connection.shutdown(socket.SHUT_RDWR)


def not_http(exchange: Exchange) -> None:
    """Answer with what is no HTTP."""
    exchange.connection.sendall(b"\x00\xff SSH-2.0-banner\r\n\r\n")
    exchange.connection.shutdown(socket.SHUT_RDWR)


def truncated(exchange: Exchange) -> None:
    """Stop in the middle of the body."""
    exchange.reply(200, b'{"Item": {"PK": {"S": "PROD', length=500)
    exchange.connection.shutdown(socket.SHUT_RDWR)


def dripping_headers(exchange: Exchange) -> None:
    """Send a header that never ends."""
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    exchange.drip(b"x")


def dripping_body(exchange: Exchange) -> None:
    """Send a body that never ends."""
    exchange.connection.sendall(_head(200, 1_000_000))
    exchange.drip(b" ")


def after(fault: Fault) -> Fault:
    """Have the engine carry the request out first: what gets lost is the answer."""

    def carried_out_first(exchange: Exchange) -> None:
        exchange.forward()
        fault(exchange)

    return carried_out_first


def pass_on(exchange: Exchange) -> None:
    """Hand the request to the engine, and its answer back."""
    status, headers, body = exchange.forward()
    kept = {n: v for n, v in headers.items() if n.lower().startswith(("x-amz", "content-type"))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: {len(body)}\r\n"
    exchange.connection.sendall(f"{head}{lines}\r\n".encode() + body)


def slow(seconds: float) -> Fault:
    """Pass on after a while."""

    def fault(exchange: Exchange) -> None:
        exchange.closing.wait(seconds)
        pass_on(exchange)

    return fault


def cancelled(*reasons: str) -> Fault:
    """A transaction that was cancelled, with a reason for each of its parts."""
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        f"[{', '.join(reasons)}]",
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return answered(json.dumps(body).encode(), 400)


def without_item(exchange: Exchange) -> None:
    """Pass on, but as an engine that ignores ReturnValuesOnConditionCheckFailure."""
    status, _, body = exchange.forward()
    document = json.loads(body)
    document.pop("Item", None)
    exchange.reply(status, json.dumps(document).encode())


@dataclass
class FaultyDynamoDB:
    """The running server.

    Attributes:
        endpoint_url: where it listens.
        operations: of the requests that arrived, in their order.
    """

    endpoint_url: str
    upstream: str | None
    operations: list[str] = field(default_factory=list)
    _plans: dict[tuple[str, int | None], Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, operation: str, fault: Fault, nth: int | None = None) -> None:
        """Fail the nth request of an operation, counted from 1 over all; every one without it."""
        self._plans[operation, nth] = fault

    def count(self, operation: str) -> int:
        """How many requests of an operation arrived."""
        return self.operations.count(operation)

    def fault_for(self, operation: str) -> Fault | None:
        """Take note of a request, and give the fault that is meant for it."""
        with self._lock:
            self.operations.append(operation)
            plans = self._plans
            return plans.get((operation, self.count(operation))) or plans.get((operation, None))


@contextmanager
def faulty_dynamodb(
    upstream: str | None = None, always: Fault | None = None
) -> Iterator[FaultyDynamoDB]:
    """Run a server on a free port: in front of an engine, or with one fault for every request."""
    closing = threading.Event()
    default = always or pass_on
    address = urlsplit(upstream).netloc if upstream else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            fault = server.fault_for(operation) or default
            headers = {name: value for name, value in self.headers.items() if name != "host"}
            exchange = Exchange(operation, request, headers, self.connection, closing, address)
            try:
                fault(exchange)
            except OSError:  # the connection is broken, by the fault or by a caller who gave up
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True  # clients keep idle connections: their threads wait for ever
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A connection that a fault has broken is no error of this server."""

        def shutdown_request(self, request: Any) -> None:
            self.close_request(request)  # without a FIN before the RST

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server = FaultyDynamoDB(f"http://127.0.0.1:{listener.server_port}", address)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            closing.set()
            listener.shutdown()
            thread.join()


def unused_endpoint() -> str:
    """An address on loopback where nothing listens, so that connections are refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
