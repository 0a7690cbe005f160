"""A loopback server with fixed responses: alone, or in front of the local AWS.

It has the responses that no engine here has: GitHub's API, some AWS services, and AWS's denials. In
front of an engine, it passes all other requests on.
"""

import contextlib
import fnmatch
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

_HOLD_SECONDS = 60
_DENIED = "User is not authorized to perform this"


class Request(NamedTuple):
    """One request.

    Attributes:
        operation: `Action` or target of an AWS call, such as `GetRole`; else method and URL path
            with the query, such as `GET /account`.
    """

    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Hold:
    """A request that waits before it is passed on.

    Attributes:
        arrived: set when the request has arrived.
        released: what it waits for.
    """

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class StubServer:
    """The server's responses.

    Attributes:
        endpoint_url: its URL.
        upstream: host and port of the engine; None without an engine.
        requests: all requests, in their order.
    """

    endpoint_url: str
    upstream: str | None
    requests: list[Request] = field(default_factory=list)
    _responses: dict[str, Response | None] = field(default_factory=dict)
    _next_responses: list[tuple[str, Response]] = field(default_factory=list)
    _holds: dict[str, Hold] = field(default_factory=dict)

    def respond(self, operation: str, body: Any, status: int = HTTPStatus.OK) -> None:
        """Give an operation, which may have wildcards, a response; text is sent as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/xml" if text.startswith("<") else "application/json"
        self._responses[operation] = Response(status, {"Content-Type": kind}, text.encode())

    def respond_bytes(self, operation: str, content: bytes) -> None:
        """Give an operation a binary response."""
        self._responses[operation] = Response(HTTPStatus.OK, {}, content)

    def deny(self, operation: str) -> None:
        """Deny an operation as AWS does for a caller without the right."""
        self._responses[operation] = None

    def fail_next(self, operation: str, code: str, status: int, *, times: int = 1) -> None:
        """Let the next requests of an operation fail, with an error of a REST-JSON service."""
        body = json.dumps({"Type": "User", "Message": "a test"}).encode()
        response = Response(status, {"x-amzn-ErrorType": code}, body)
        self._next_responses += [(operation, response)] * times

    def respond_headers(self, operation: str, headers: Mapping[str, str]) -> None:
        """Give an operation a response that has these headers and no content."""
        self._responses[operation] = Response(HTTPStatus.OK, headers, b"")

    def allow(self, operation: str) -> None:
        """Pass an operation that was denied, or had a response, on to the engine again."""
        del self._responses[operation]

    def hold(self, operation: str) -> Hold:
        """Let the requests of an operation wait until they are released."""
        return self._holds.setdefault(operation, Hold())

    def break_off(self, operation: str) -> None:
        """Let the responses to an operation end before their content is complete."""
        headers = {"Content-Length": "100", "Connection": "close"}
        self._responses[operation] = Response(HTTPStatus.OK, headers, b"{")

    def respond_next(self, operation: str, *bodies: Mapping[str, Any]) -> None:
        """Give the next requests of an operation these responses, one after the other."""
        kind = {"Content-Type": "application/json"}
        self._next_responses += [
            (operation, Response(HTTPStatus.OK, kind, json.dumps(body).encode())) for body in bodies
        ]

    def count(self, operation: str) -> int:
        """Return how many requests of an operation arrived."""
        return sum(fnmatch.fnmatchcase(sent.operation, operation) for sent in self.requests)

    def response_to(self, request: Request) -> Response:
        """Return the response to a request."""
        self.requests.append(request)
        for operation, hold in self._holds.items():
            if fnmatch.fnmatchcase(request.operation, operation):
                hold.arrived.set()
                hold.released.wait(_HOLD_SECONDS)
        for entry in self._next_responses:
            if fnmatch.fnmatchcase(request.operation, entry[0]):
                self._next_responses.remove(entry)
                return entry[1]
        for operation, response in self._responses.items():
            if fnmatch.fnmatchcase(request.operation, operation):
                return response or _denial(request)
        return self._forward(request)

    def _forward(self, request: Request) -> Response:
        if self.upstream is None:
            return Response(HTTPStatus.NOT_FOUND, {}, b'{"message": "Not Found"}')
        engine = http.client.HTTPConnection(self.upstream, timeout=30)
        with contextlib.closing(engine):
            engine.request(request.method, request.path, request.body, dict(request.headers))
            response = engine.getresponse()
            headers = {
                name: value
                for name, value in response.getheaders()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            }
            return Response(response.status, headers, response.read())


def _denial(request: Request) -> Response:
    """Return AWS's denial in the protocol of the request."""
    if request.operation.startswith(("GET ", "HEAD ", "POST ")):
        if "/s3/" not in request.headers.get("Authorization", ""):
            kind = {"x-amzn-ErrorType": "AccessDeniedException"}
            return Response(403, kind, json.dumps({"message": _DENIED}).encode())
        body = f"<Error><Code>AccessDenied</Code><Message>{_DENIED}</Message></Error>"
    elif "X-Amz-Target" in request.headers:
        error = {"__type": "AccessDeniedException", "Message": _DENIED}
        return Response(400, {}, json.dumps(error).encode())
    else:
        body = (
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
            f"<Message>{_DENIED}</Message></Error></ErrorResponse>"
        )
    return Response(403, {"Content-Type": "text/xml"}, body.encode())


def _operation(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if "urlencoded" in headers.get("Content-Type", ""):
        return parse_qs(body.decode())["Action"][0]
    return f"{method} {path}"


@contextmanager
def stub_server(engine: str | None = None) -> Iterator[StubServer]:
    """Serve on an unused port until the end of the block.

    Args:
        engine: the endpoint URL of the engine that gets all other requests.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers.items())
            operation = _operation(self.command, self.path, headers, body)
            request = Request(operation, self.command, self.path, headers, body)
            response = stub.response_to(request)
            try:
                self._send(response)
            except (BrokenPipeError, ConnectionResetError):  # the client reached its time-out
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

        def _send(self, response: Response) -> None:
            status, headers, content = response
            self.send_response(status)
            length = {"Content-Length": str(len(content))}
            for name, value in {**length, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub = StubServer(
        f"http://127.0.0.1:{server.server_port}", urlsplit(engine).netloc if engine else None
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
