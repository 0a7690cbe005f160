"""A product API in memory, on loopback, for faults that a test cannot inject into the real API.

It implements only what the commands need. The commands' tests of normal use also run on the real
API.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import simplejson

API_KEY = "fake-key-0123456789abcdef"
PROBLEM = "tag:kimmyai.io,2026:"


class Target(Protocol):
    """An API that a command can use: this one, or the real one."""

    base_url: str
    api_key: str


@dataclass(frozen=True)
class FakeResponse:
    """A response of the fake API."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(Enum):
    """A fault that a test injects into the next request."""

    NONE = auto()  # no fault
    HANG = auto()  # hold the request until `release` is set, then execute it without a response
    LOSE_RESPONSE = auto()  # execute the request, then close the connection
    DROP = auto()  # close the connection


@dataclass(frozen=True)
class Request:
    """A request that the fake API received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def problem(status: int, kind: str, detail: str, **headers: str) -> FakeResponse:
    """Build a response with a problem document."""
    body = {"type": PROBLEM + kind, "title": kind, "status": status, "detail": detail}
    return FakeResponse(
        status, body | {"instance": "request-1"}, {"X-Request-Id": "request-1"} | headers
    )


class FakeProductApi:
    """The state of one fake API: its products, the requests received, and the faults to inject.

    Each fault applies to one request: the next one, or the next one with its method.
    """

    def __init__(self) -> None:
        self.products: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.statuses: list[int] = []  # of the responses sent
        self.faults: deque[tuple[str, FakeResponse | Fault]] = deque()
        self.release = threading.Event()
        self.hanging = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.base_url = ""
        self.api_key = API_KEY
        self._replays: dict[str, FakeResponse] = {}
        self._lock = threading.Lock()

    def fail_next(self, fault: FakeResponse | Fault, *, method: str = "", times: int = 1) -> None:
        """Inject a fault into, or send this response to, the next requests (of that method)."""
        self.faults.extend([(method, fault)] * times)

    def let_pass(self, *, method: str) -> None:
        """Handle the next request of that method normally; faults added later come after it."""
        self.faults.append((method, Fault.NONE))

    def wait_for_hanging_request(self) -> None:
        """Wait until a request hangs."""
        assert self.hanging.acquire(timeout=15), "no request hangs"

    def finish_hanging_request(self) -> None:
        """Release the hanging request, and wait until it is executed."""
        self.release.set()
        assert self.done.acquire(timeout=15), "the hanging request was not executed"

    def fault_for(self, request: Request) -> FakeResponse | Fault | None:
        """Record a request, and return the fault to inject into it."""
        with self._lock:
            self.requests.append(request)
            for method, fault in self.faults:
                if method in ("", request.method):
                    self.faults.remove((method, fault))
                    return fault
        return None

    def methods(self) -> list[str]:
        """Return the methods of the requests received, in order."""
        return [request.method for request in self.requests]

    def active(self) -> dict[str, dict[str, Any]]:
        """Return the active products by id."""
        return {key: product for key, product in self.products.items() if product["active"]}

    def deleted(self) -> dict[str, dict[str, Any]]:
        """Return the deleted products by id."""
        return {key: product for key, product in self.products.items() if not product["active"]}

    def respond(self, request: Request) -> FakeResponse:
        """Execute a request as the real API does, and return the response."""
        with self._lock:
            url = urlsplit(request.path)
            parts = url.path.removeprefix("/v1.0/").split("/")
            needs_key = request.method != "GET" or parts == ["deleted-products"]
            if needs_key and request.headers.get("x-api-key") != API_KEY:
                return problem(403, "forbidden", "A valid API key is needed.")
            match parts:
                case ["products"] if request.method == "GET":
                    return self._list(self.active(), parse_qs(url.query))
                case ["deleted-products"]:
                    return self._list(self.deleted(), parse_qs(url.query))
                case ["products"]:
                    return self._create(request)
                case ["products", product_id]:
                    return self._one(request, product_id)
                case _:
                    return problem(404, "route-not-found", "There is no such route.")

    def _list(
        self, products: dict[str, dict[str, Any]], query: dict[str, list[str]]
    ) -> FakeResponse:
        start = int(query.get("nextToken", ["0"])[0])
        end = start + int(query.get("limit", ["50"])[0])
        newest_first = list(reversed(products.values()))
        token = str(end) if end < len(newest_first) else None
        return FakeResponse(200, {"products": newest_first[start:end], "nextToken": token})

    def _create(self, request: Request) -> FakeResponse:
        key = request.headers.get("idempotency-key", "")
        if key in self._replays:
            return self._replays[key]
        product_id = request.body["productId"]
        if product_id in self.products:
            return problem(409, "duplicate-product", f"{product_id} is taken.")
        self.products[product_id] = {"currency": "ZAR"} | request.body
        self.products[product_id] |= {"active": True, "version": 1}
        headers = {"ETag": '"1"', "Location": f"/v1.0/products/{product_id}"}
        response = FakeResponse(201, dict(self.products[product_id]), headers)
        if key:
            self._replays[key] = response
        return response

    def _one(self, request: Request, product_id: str) -> FakeResponse:
        product = self.products.get(product_id)
        restores = request.method == "PUT" and request.body.get("active") is True
        if product is None or not (product["active"] or restores or request.method == "DELETE"):
            return problem(404, "product-not-found", f"There is no product {product_id}.")
        etag = f'"{product["version"]}"'
        if request.method == "DELETE":
            product["active"] = False
            return FakeResponse(204)
        if request.method == "PUT":
            if request.headers.get("if-match", etag) != etag:
                return problem(412, "precondition-failed", "The product has another version.")
            product.update(request.body, version=product["version"] + 1)
            if product.get("setupFee") is None:
                product.pop("setupFee", None)
        return FakeResponse(200, dict(product), {"ETag": f'"{product["version"]}"'})


class _Server(ThreadingHTTPServer):
    def __init__(self, api: FakeProductApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        api.base_url = f"http://127.0.0.1:{self.server_port}/v1.0"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for each response: the second of two would wait for an ACK

    def _handle(self) -> None:
        payload = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = simplejson.loads(payload, parse_float=Decimal) if payload else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        api = self.server.api
        match api.fault_for(request):
            case None | Fault.NONE:
                self._send(api.respond(request))
            case FakeResponse() as response:
                self._send(response)
            case fault:
                self.close_connection = True
                self._inject(request, fault)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the standard library's names

    def _inject(self, request: Request, fault: Fault) -> None:
        api = self.server.api
        if fault is Fault.HANG:
            api.hanging.release()
            api.release.wait()
        if fault is not Fault.DROP:
            api.respond(request)
            api.done.release()

    def _send(self, response: FakeResponse) -> None:
        self.server.api.statuses.append(response.status)
        body = response.body
        payload = body.encode() if isinstance(body, str) else simplejson.dumps(body).encode()
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status == 204:
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving_fake_api() -> Iterator[FakeProductApi]:
    """Serve a fake API on a free loopback port until the context ends."""
    api = FakeProductApi()
    with _Server(api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            api.release.set()
            server.shutdown()
            thread.join()
