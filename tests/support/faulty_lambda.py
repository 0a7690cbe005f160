"""A loopback server in front of the engine, with its own responses to selected Lambda requests."""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class LambdaResponse:
    """A response of Lambda, in AWS's REST-JSON protocol.

    Attributes:
        error: the code of an error; empty for a success.
    """

    status: int
    error: str = ""
    body: Mapping[str, object] = field(default_factory=dict)


THROTTLED = LambdaResponse(429, "TooManyRequestsException")
CONFLICT = LambdaResponse(409, "ResourceConflictException")
GONE = LambdaResponse(404, "ResourceNotFoundException")
DENIED = LambdaResponse(403, "AccessDeniedException")


@dataclass
class FaultyLambda:
    """The running server; each injected response applies to one request.

    Attributes:
        requests: method and path with query of the requests that arrived, in order.
    """

    endpoint_url: str
    requests: list[str] = field(default_factory=list)
    _responses: list[tuple[str, LambdaResponse]] = field(default_factory=list)

    def respond_next(self, request: str, response: LambdaResponse, *, times: int = 1) -> None:
        """Send this response to the next requests that match a pattern, such as `DELETE .*=1`."""
        self._responses += [(request, response)] * times

    def response_for(self, request: str) -> LambdaResponse | None:
        """Record a request, and return the injected response; None for the engine's own."""
        self.requests.append(request)
        for entry in self._responses:
            if re.fullmatch(entry[0], request):
                self._responses.remove(entry)
                return entry[1]
        return None


@contextmanager
def faulty_lambda(engine: str) -> Iterator[FaultyLambda]:
    """Run the server on a free port.

    Args:
        engine: the endpoint URL of the engine, which executes all other requests.
    """
    upstream = urlsplit(engine).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if injected := server.response_for(f"{self.command} {self.path}"):
                content = json.dumps(injected.body).encode()
                self._send(injected.status, {"x-amzn-ErrorType": injected.error}, content)
                return
            connection = http.client.HTTPConnection(upstream, timeout=10)
            with closing(connection):
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                self._send(response.status, dict(response.getheaders()), response.read())

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the library's names

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            if status != http.client.NO_CONTENT:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True  # threads of idle connections would never end

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server = FaultyLambda(f"http://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
