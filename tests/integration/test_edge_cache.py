"""The headers of all responses on Varnish, a real shared cache, and its invalidation.

The configuration of Varnish (tests/support/edge.vcl) has the cache key of the CloudFront
distribution and gives no response a life of its own.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
import urllib3

from local.engine import REGION
from product_lambda.exceptions import (
    DependencyUnavailableException,
    InternalException,
    ProductNotFoundException,
)
from product_lambda.repositories.edge_cache import EdgeCache
from product_lambda.utils.response_builder import (
    GatewayResponse,
    Problem,
    Response,
    gateway_response,
    not_modified,
    problem_response,
    read_response,
)
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.cloudfront import DISTRIBUTION_ID, cloudfront
from tests.support.factory import product_body, unused_key, unused_product_id
from tests.support.local_process import KEY, local_server
from tests.support.optional_tools import skip_test_without
from tests.support.stream_records import LambdaContext
from tests.support.varnish import REQUIREMENT, Edge, varnish, varnishd
from tests.support.waiting import eventually

# No response expires during a test.
SECONDS = 86_400
CACHED = f"max-age=0, s-maxage={SECONDS}, stale-while-revalidate=2"
WRITER = {"x-api-key": KEY}
JSON = {"Content-Type": "application/json"}
PATHS = ("/v1.0/products*",)
MISS, HIT, PASS = "miss", "hit", "pass"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not varnishd():
        skip_test_without(REQUIREMENT)


class Client:
    """Sends requests through the cache."""

    def __init__(self, edge: Edge) -> None:
        self._base = f"{edge.address}/v1.0"
        self._pool = urllib3.PoolManager(timeout=60, retries=False)

    def send(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; an underscore in the name of a header stands for a hyphen."""
        content = None if body is None else json.dumps(body).encode()
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.request(method, f"{self._base}{path}", body=content, headers=lines)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """Send a GET."""
        return self.send("GET", path, **headers)

    def new_product(self, **fields: object) -> str:
        """Create a product with an id of its own, and return the id."""
        product_id = unused_product_id()
        body = {**json.loads(json.dumps(product_body(), default=float)), "productId": product_id}
        created = self.send("POST", "/products", {**body, **fields}, **WRITER, **JSON)
        assert created.status == 201, created.data
        return product_id


def how(response: urllib3.BaseHTTPResponse) -> str:
    """Return how the cache served a response."""
    return response.headers["X-Cache"]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The cache in front of the local server."""
    folder = tmp_path_factory.mktemp("edge")
    with (
        local_server(folder / "products", EDGE_CACHE_SECONDS=str(SECONDS)) as server,
        varnish(server.address, folder) as running,
    ):
        yield running


@pytest.fixture
def client(edge: Edge) -> Client:
    """A client that finds an empty cache."""
    edge.invalidate(PATHS)
    return Client(edge)


@pytest.fixture
def product_id(client: Client) -> str:
    return client.new_product(name="Old")


@pytest.fixture
def invalidate(
    edge: Edge,
    imported_event_functions: Mapping[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], None]]:
    """Lets `cache_invalidator` receive a change, through the stand-in for CloudFront's API."""
    function = imported_event_functions["cache_invalidator"]
    with cloudfront(edge.invalidate) as standin:
        cache = EdgeCache(DISTRIBUTION_ID, PATHS, REGION, standin.endpoint_url)
        monkeypatch.setattr(function, "CACHE", cache)

        def call() -> None:
            body = text_of(change_event(None, product_shown(), "ProductCreated"))
            message = {"messageId": "1", "body": body, "eventSource": "aws:sqs"}
            response = function.handler({"Records": [message]}, LambdaContext(60))
            assert response == {"batchItemFailures": []}

        yield call


# What is cached


def test_list_and_product_are_served_from_the_cache(client: Client, product_id: str) -> None:
    for path in ("/products", f"/products/{product_id}"):
        first, second = client.get(path), client.get(path)
        assert (first.status, how(first), how(second)) == (200, MISS, HIT)
        assert first.data == second.data
        for response in (first, second):
            assert response.headers["Cache-Control"] == CACHED
            assert response.headers["ETag"] == first.headers["ETag"]
            assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "query",
    [
        "limit=1",
        "offset=1",
        "sort=createdAt",
        "sort=name",
        "currency=ZAR",
        "period=yearly",
        "currency=ZAR&minPrice=1",
        "currency=ZAR&maxPrice=1",
        "name=O",
        "TOKEN",
    ],
)
def test_each_query_is_an_entry_of_its_own(client: Client, product_id: str, query: str) -> None:
    assert product_id
    client.new_product()
    first = client.get("/products?limit=1")
    if query == "TOKEN":
        query = f"limit=1&nextToken={first.json()['nextToken']}"
    client.get("/products")

    response = client.get(f"/products?{query}")

    assert response.status == 200
    assert how(response) == (HIT if query == "limit=1" else MISS)
    assert how(client.get(f"/products?{query}")) == HIT


def test_known_tag_gets_304_from_the_cache(client: Client, product_id: str) -> None:
    for path in ("/products", f"/products/{product_id}"):
        tag = client.get(path).headers["ETag"]
        known = client.get(path, If_None_Match=tag)
        assert (known.status, known.data, how(known)) == (304, b"", HIT)
        assert known.headers["ETag"] == tag
        assert known.headers["Cache-Control"] == CACHED
        other = client.get(path, If_None_Match='"other"')
        assert (other.status, how(other)) == (200, HIT)


def test_304_of_the_service_fills_no_entry(client: Client, product_id: str) -> None:
    path = f"/products/{product_id}"
    tag = client.get(path, **WRITER).headers["ETag"]

    assert client.get(path, If_None_Match=tag).status == 304

    assert client.get(path).status == 200


def test_each_coding_is_an_entry_of_its_own(client: Client) -> None:
    path = f"/products/{client.new_product(description='long ' * 400)}"
    plain = client.get(path)
    gzip = client.send("GET", path, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert gzip.headers["Content-Encoding"] == "gzip"
    assert gzip.data == plain.data  # urllib3 decodes it
    assert gzip.headers["ETag"] == plain.headers["ETag"]
    assert [how(client.get(path)), how(client.get(path, Accept_Encoding="gzip"))] == [HIT, HIT]
    assert "Content-Encoding" not in client.get(path).headers


# What is not cached

type Send = Callable[[Client, str], urllib3.BaseHTTPResponse]


def sender(method: str, path: str, body: object = None, **headers: str) -> Send:
    """Return a function that sends a request; PROD stands for the id of a product."""

    def send(client: Client, product_id: str) -> urllib3.BaseHTTPResponse:
        return client.send(method, path.replace("PROD", product_id), body, **headers)

    return send


def creation(**headers: str) -> Send:
    def send(client: Client, _: str) -> urllib3.BaseHTTPResponse:
        body = json.loads(json.dumps(product_body(), default=float))
        return client.send("POST", "/products", body, **JSON, **headers)

    return send


NAME = {"name": "New"}
NEVER_CACHED: dict[str, tuple[int, Send]] = {
    "list with key": (200, sender("GET", "/products", **WRITER)),
    "product with key": (200, sender("GET", "/products/PROD", **WRITER)),
    "deleted products": (200, sender("GET", "/deleted-products", **WRITER)),
    "deleted products without key": (403, sender("GET", "/deleted-products")),
    "list HEAD": (405, sender("HEAD", "/products")),
    "product HEAD": (405, sender("HEAD", "/products/PROD")),
    "list OPTIONS": (204, sender("OPTIONS", "/products")),
    "product OPTIONS": (204, sender("OPTIONS", "/products/PROD")),
    "deleted OPTIONS": (204, sender("OPTIONS", "/deleted-products")),
    "unknown product": (404, sender("GET", "/products/PROD-NONE")),
    "malformed id": (400, sender("GET", "/products/none")),
    "unknown route": (404, sender("GET", "/products/PROD/more")),
    "route like products": (404, sender("GET", "/products-of-others")),
    "invalid limit": (400, sender("GET", "/products?limit=0")),
    "unknown parameter": (400, sender("GET", "/products?other=1")),
    "parameter of a product": (400, sender("GET", "/products/PROD?limit=1")),
    "method": (405, sender("PATCH", "/products", **JSON)),
    "method of a product": (405, sender("POST", "/products/PROD", NAME, **JSON)),
    "create": (201, creation(**WRITER)),
    "create with idempotency key": (201, creation(**WRITER, Idempotency_Key=unused_key())),
    "create without key": (403, creation()),
    "create invalid": (400, sender("POST", "/products", {}, **WRITER, **JSON)),
    "create other type": (415, sender("POST", "/products", {}, **WRITER, Content_Type="text/csv")),
    "create too large": (413, sender("POST", "/products", "x" * 300_000, **WRITER, **JSON)),
    "update": (200, sender("PUT", "/products/PROD", NAME, **WRITER, **JSON)),
    "update without key": (403, sender("PUT", "/products/PROD", NAME, **JSON)),
    "update of other tag": (
        412,
        sender("PUT", "/products/PROD", NAME, **WRITER, **JSON, If_Match='"other"'),
    ),
    "delete": (204, sender("DELETE", "/products/PROD", **WRITER)),
    "delete unknown": (404, sender("DELETE", "/products/PROD-NONE", **WRITER)),
}


@pytest.mark.parametrize(("status", "send"), NEVER_CACHED.values(), ids=NEVER_CACHED)
def test_response_is_never_cached(client: Client, product_id: str, status: int, send: Send) -> None:
    client.get("/products")
    client.get(f"/products/{product_id}")

    responses = [send(client, product_id) for _ in range(3)]

    for response in responses:
        assert (response.status, how(response)) == (status, PASS)
    assert len({response.headers["X-Request-Id"] for response in responses}) == 3


def test_read_with_a_key_neither_fills_nor_uses_entries(client: Client, product_id: str) -> None:
    path = f"/products/{product_id}"
    keyed = client.get(path, **WRITER)
    assert keyed.headers["Cache-Control"] == "private, no-cache"
    assert how(client.get(path)) == MISS
    client.send("PUT", path, NAME, **WRITER, **JSON)

    assert client.get(path, **WRITER).json()["name"] == "New"
    assert client.get(path).json()["name"] == "Old"


# After a change


def test_change_is_read_once_it_is_invalidated(
    client: Client, product_id: str, invalidate: Callable[[], None]
) -> None:
    path = f"/products/{product_id}"

    def shown() -> list[str]:
        page = client.get("/products?limit=100").json()["products"]
        return [product["name"] for product in page if product["productId"] == product_id]

    assert (client.get(path).json()["name"], shown()) == ("Old", ["Old"])
    client.send("PUT", path, NAME, **WRITER, **JSON)
    assert (client.get(path).json()["name"], shown()) == ("Old", ["Old"])
    invalidate()
    assert (client.get(path).json()["name"], shown()) == ("New", ["New"])
    client.send("DELETE", path, **WRITER)
    assert client.get(path).status == 200
    invalidate()
    assert (client.get(path).status, shown()) == (404, [])
    client.send("PUT", path, {"active": True}, **WRITER, **JSON)
    assert client.get(path).status == 200  # an error was not stored
    invalidate()
    assert shown() == ["New"]


def test_old_tag_gets_200_after_invalidation(
    client: Client, product_id: str, invalidate: Callable[[], None]
) -> None:
    path = f"/products/{product_id}"
    tag = client.get(path).headers["ETag"]
    client.send("PUT", path, NAME, **WRITER, **JSON)
    invalidate()

    changed = client.get(path, If_None_Match=tag)

    assert (changed.status, changed.json()["name"]) == (200, "New")


# In front of a server with responses of the test


@dataclass
class Origin:
    """A server whose next response the test decides.

    Attributes:
        response: what it sends.
        path: the path of the test, below the base path. No other test uses it, since a refresh of
            an earlier test may still be under way.
        tags: the `If-None-Match` of each request for this path; empty for none.
        released: requests wait for it, after the server has decided on its response.
    """

    address: str
    response: GatewayResponse
    path: str = ""
    tags: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


NUMBERS = itertools.count(1)
PAGE_TAGS = {"old": '"1"', "new": '"2"'}


def sent(response: Response, *, origin: str | None = None, allowed: str = "*") -> GatewayResponse:
    return gateway_response(response, "request-1", origin, tuple(allowed.split()))


def page(name: str, caching: str) -> GatewayResponse:
    """Return a page as the functions do, with a life of its own."""
    return sent(read_response(f'"{name}"', PAGE_TAGS[name], caching))


@contextmanager
def serving_origin() -> Iterator[Origin]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tag = self.headers.get("If-None-Match", "")
            response = running.response
            if self.path == f"/v1.0{running.path}":
                running.tags.append(tag)
            running.released.wait(60)
            headers = response["headers"]
            status, body = response["statusCode"], response["body"].encode()
            if tag and tag == headers.get("ETag"):
                known = sent(not_modified(tag, headers["Cache-Control"]))
                status, headers, body = known["statusCode"], known["headers"], b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running = Origin(f"http://127.0.0.1:{server.server_port}", page("old", "no-cache"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def edge_of_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Edge, Origin]]:
    with (
        serving_origin() as running,
        varnish(running.address, tmp_path_factory.mktemp("edge-of-origin")) as cache,
    ):
        yield cache, running


@pytest.fixture
def origin(edge_of_origin: tuple[Edge, Origin]) -> Origin:
    running = edge_of_origin[1]
    running.released.set()
    running.path = f"/products?offset={next(NUMBERS)}"
    running.tags.clear()
    return running


@pytest.fixture
def reader(edge_of_origin: tuple[Edge, Origin]) -> Client:
    return Client(edge_of_origin[0])


THROTTLED = {"type": "tag:kimmyai.io,2026:throttled", "status": 429}
ERRORS: dict[str, Problem] = {
    "unavailable": DependencyUnavailableException(),
    "internal error": InternalException(),
    "not found": ProductNotFoundException("PROD-001"),
}


@pytest.mark.parametrize("problem", ERRORS.values(), ids=ERRORS)
def test_error_is_not_stored_for_the_next_reader(
    origin: Origin, reader: Client, problem: Problem
) -> None:
    origin.response = sent(problem_response(problem, "request-1"))
    assert reader.get(origin.path).status == problem.status
    origin.response = page("old", CACHED)
    assert (reader.get(origin.path).status, how(reader.get(origin.path))) == (200, HIT)


def test_throttled_response_of_the_gateway_is_not_stored(origin: Origin, reader: Client) -> None:
    throttled = sent(Response(429, json.dumps(THROTTLED), {"Retry-After": "1"}))
    assert throttled["headers"]["Cache-Control"] == "no-store"
    origin.response = throttled
    assert reader.get(origin.path).status == 429
    origin.response = page("old", CACHED)
    assert reader.get(origin.path).status == 200


def test_each_of_several_origins_is_an_entry_of_its_own(origin: Origin, reader: Client) -> None:
    both = ("https://a.example", "https://b.example")
    for _ in range(2):
        for each in both:
            read = read_response("{}", '"1"', CACHED)
            origin.response = sent(read, origin=each, allowed=" ".join(both))
            response = reader.get(origin.path, Origin=each)
            assert response.headers["Access-Control-Allow-Origin"] == each
    assert len(origin.tags) == 2


def test_switched_off_service_is_not_cached(origin: Origin, reader: Client) -> None:
    origin.response = page("old", "no-cache")
    assert [how(reader.get(origin.path)) for _ in range(2)] == [PASS, PASS]


LONG_STALE = "max-age=0, s-maxage=1, stale-while-revalidate=600"


def test_expired_page_is_refreshed_by_its_tag_meanwhile_served(
    origin: Origin, reader: Client
) -> None:
    origin.response = page("old", LONG_STALE)
    assert how(reader.get(origin.path)) == MISS

    def refreshed() -> bool | None:
        response = reader.get(origin.path)
        assert (response.status, how(response)) == (200, HIT)
        return True if len(origin.tags) > 1 else None

    eventually(refreshed, "a refresh")
    assert set(origin.tags[1:]) == {'"1"'}
    origin.response = page("new", LONG_STALE)

    def changed() -> bool | None:
        return True if reader.get(origin.path).json() == "new" else None

    eventually(changed, "the new page")


def test_expired_page_is_not_served_after_invalidation(
    edge_of_origin: tuple[Edge, Origin], origin: Origin, reader: Client
) -> None:
    origin.response = page("old", LONG_STALE)
    reader.get(origin.path)
    # From here on, a refresh fails, so nothing but the invalidation can end the old page.
    origin.response = sent(problem_response(DependencyUnavailableException(), "request-1"))

    def is_expired() -> bool | None:
        response = reader.get(origin.path)
        assert response.json() == "old"
        return True if len(origin.tags) > 1 else None

    eventually(is_expired, "an expired page")
    origin.response = page("new", LONG_STALE)
    edge_of_origin[0].invalidate(PATHS)

    assert reader.get(origin.path).json() == "new"


def test_invalidation_misses_a_response_that_is_under_way(
    edge_of_origin: tuple[Edge, Origin], origin: Origin, reader: Client
) -> None:
    # Why the queue delays messages: docs/adr/0032-edge-cache.md.
    origin.response = page("old", CACHED)
    origin.released.clear()
    first: list[Any] = []
    reading = threading.Thread(target=lambda: first.append(reader.get(origin.path).json()))
    reading.start()
    eventually(lambda: True if origin.tags else None, "the request")

    edge_of_origin[0].invalidate(PATHS)
    origin.response = page("new", CACHED)
    origin.released.set()
    reading.join()
    assert (first, Client(edge_of_origin[0]).get(origin.path).json()) == (["old"], "old")

    edge_of_origin[0].invalidate(PATHS)  # after the response has arrived
    assert reader.get(origin.path).json() == "new"
