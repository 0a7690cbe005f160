"""A loopback server that speaks DynamoDB's protocol and injects faults.

Alone, it injects one fault into every request. In front of an engine, it passes requests on and
injects faults into selected ones, before or after the engine executes them.
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
"""Handles one request in a faulty way."""

_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Exchange:
    """One request and the connection for its response.

    Attributes:
        operation: the operation of DynamoDB, such as `GetItem`; `PUT` for an object of S3.
        closing: set when the server stops, so that endless faults end.
        upstream: host and port of the engine; None without an engine.
    """

    operation: str
    request: bytes
    headers: dict[str, str]
    connection: socket.socket
    closing: threading.Event
    upstream: str | None
    method: str = "POST"
    path: str = "/"

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Send the request to the engine, and return status, headers and body of its response."""
        assert self.upstream, "this server has no engine: pass one to faulty_dynamodb"
        engine = http.client.HTTPConnection(self.upstream, timeout=60)
        with contextlib.closing(engine):
            engine.request(self.method, self.path, self.request, self.headers)
            response = engine.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def respond(self, status: int, body: bytes, length: int | None = None) -> None:
        """Send a response; `length` replaces the true value of Content-Length."""
        declared = len(body) if length is None else length
        self.connection.sendall(_head(status, declared) + body)

    def send_endlessly(self, piece: bytes) -> None:
        """Send a piece every 50 ms until the server stops or the client disconnects."""
        while not self.closing.wait(_PAUSE_SECONDS):
            self.connection.sendall(piece)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def error_response(code: str, message: str = "no", status: int = 400) -> Fault:
    """Return a fault that responds with an error of DynamoDB, by its code."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}

    def fault(exchange: Exchange) -> None:
        exchange.respond(status, json.dumps(body).encode())

    return fault


def fixed_response(body: bytes, status: int = 200) -> Fault:
    """Return a fault that sends the same response to every request."""

    def fault(exchange: Exchange) -> None:
        exchange.respond(status, body)

    return fault


def hang(exchange: Exchange) -> None:
    """Send no response."""
    exchange.closing.wait()


def reset(exchange: Exchange) -> None:
    """Reset the connection: with a linger time of zero, closing sends an RST."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def disconnect(exchange: Exchange) -> None:
    """Close the connection without a response."""
    exchange.connection.shutdown(socket.SHUT_RDWR)


def not_http(exchange: Exchange) -> None:
    """Respond with bytes that are not HTTP."""
    exchange.connection.sendall(b"\x00\xff SSH-2.0-banner\r\n\r\n")
    exchange.connection.shutdown(socket.SHUT_RDWR)


def truncated_response(exchange: Exchange) -> None:
    """Close the connection in the middle of the body."""
    exchange.respond(200, b'{"Item": {"PK": {"S": "PROD', length=500)
    exchange.connection.shutdown(socket.SHUT_RDWR)


def endless_header(exchange: Exchange) -> None:
    """Send a header without an end."""
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    exchange.send_endlessly(b"x")


def endless_body(exchange: Exchange) -> None:
    """Send a body without an end."""
    exchange.connection.sendall(_head(200, 1_000_000))
    exchange.send_endlessly(b" ")


def after_execution(fault: Fault) -> Fault:
    """Return a fault that lets the engine execute the request first; only the response is lost."""

    def executed_first(exchange: Exchange) -> None:
        exchange.forward()
        fault(exchange)

    return executed_first


def pass_on(exchange: Exchange) -> None:
    """Pass the request to the engine, and its response to the client: no fault."""
    status, headers, body = exchange.forward()
    kept = {n: v for n, v in headers.items() if n.lower().startswith(("x-amz", "content-type"))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: {len(body)}\r\n"
    exchange.connection.sendall(f"{head}{lines}\r\n".encode() + body)


def delayed(seconds: float) -> Fault:
    """Return a fault that passes the request on after a delay."""

    def fault(exchange: Exchange) -> None:
        exchange.closing.wait(seconds)
        pass_on(exchange)

    return fault


def cancelled_transaction(*reasons: str) -> Fault:
    """Return a fault that cancels a transaction, with one reason for each of its actions."""
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        f"[{', '.join(reasons)}]",
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return fixed_response(json.dumps(body).encode(), 400)


def without_item(exchange: Exchange) -> None:
    """Pass the request on like an engine that ignores ReturnValuesOnConditionCheckFailure."""
    status, _, body = exchange.forward()
    document = json.loads(body)
    document.pop("Item", None)
    exchange.respond(status, json.dumps(document).encode())


def empty_page(exchange: Exchange) -> None:
    """Respond to a query that starts after a key: no items, and more may follow the same key."""
    start = json.loads(exchange.request)["ExclusiveStartKey"]
    page = {"Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey": start}
    exchange.respond(200, json.dumps(page).encode())


@dataclass
class FaultyDynamoDB:
    """The running server.

    Attributes:
        endpoint_url: the URL of this server.
        upstream: host and port of the engine; None without an engine.
        operations: the operations of the requests that arrived, in order.
    """

    endpoint_url: str
    upstream: str | None
    operations: list[str] = field(default_factory=list)
    _faults: dict[tuple[str, int | None], Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, operation: str, fault: Fault, nth: int | None = None) -> None:
        """Inject a fault into the nth request of an operation, or into every one without `nth`.

        `nth` counts from 1 and includes earlier requests.
        """
        self._faults[operation, nth] = fault

    def count(self, operation: str) -> int:
        """Return how many requests of an operation arrived."""
        return self.operations.count(operation)

    def forget(self) -> None:
        """Return to the state of the start, without faults and earlier requests."""
        with self._lock:
            self._faults.clear()
            self.operations.clear()

    def fault_for(self, operation: str) -> Fault | None:
        """Record a request, and return the fault for it; None for no fault."""
        with self._lock:
            self.operations.append(operation)
            nth = self.count(operation)
            return self._faults.get((operation, nth)) or self._faults.get((operation, None))


@contextmanager
def faulty_dynamodb(
    upstream: str | None = None, always: Fault | None = None
) -> Iterator[FaultyDynamoDB]:
    """Run the server on a free port.

    Args:
        upstream: the endpoint URL of an engine, which executes the requests.
        always: the fault for every request without another fault; the default passes it on.
    """
    closing = threading.Event()
    default = always or pass_on
    address = urlsplit(upstream).netloc if upstream else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _exchange(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", self.command).rpartition(".")[2]
            fault = server.fault_for(operation) or default
            headers = {name: value for name, value in self.headers.items() if name != "host"}
            exchange = Exchange(
                operation,
                request,
                headers,
                self.connection,
                closing,
                address,
                self.command,
                self.path,
            )
            try:
                fault(exchange)
            except OSError:  # the fault or the client closed the connection
                self.close_connection = True

        do_POST = do_PUT = _exchange  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True  # threads of idle connections would never end
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Ignore connections that a fault has broken."""

        def shutdown_request(self, request: Any) -> None:
            self.close_request(request)  # no FIN before the RST

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
    """Return an endpoint URL on loopback with a closed port; connections to it fail."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
