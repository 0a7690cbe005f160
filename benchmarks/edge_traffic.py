"""Readers and changes through the edge cache: runs them, and compares what the readers saw.

The cache is Varnish before the local server. A change becomes an event in a queue in memory, with
the delay and the window of the real one, and `cache_invalidator` handles its batches, in process,
through a stand-in for CloudFront's API. It writes nothing.
"""

import asyncio
import contextlib
import hashlib
import importlib
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from local.engine import CREDENTIALS, REGION
from product_lambda.repositories.edge_cache import EdgeCache
from tests.support.audit_trail import change_event, text_of
from tests.support.cloudfront import DISTRIBUTION_ID, CloudFront, cloudfront
from tests.support.local_process import KEY, LocalProcess, local_server
from tests.support.stream_records import LambdaContext
from tests.support.varnish import varnish
from tests.support.workload import new_product

EDGE_CACHE_SECONDS: Final = 60
DELAY_SECONDS: Final = 3.0
WINDOW_SECONDS: Final = 4.0
"""The delay and the batching window of the queue of `cache_invalidator`."""
PATH: Final = "/v1.0/products*"
"""What an invalidation removes."""
PRODUCTS: Final = 60
READERS: Final = 4000
LISTS: Final[Mapping[str, int]] = {
    "/products": 50,
    "/products?limit=12": 20,
    "/products?currency=ZAR&sort=price": 12,
    "/products?currency=ZAR&sort=price&maxPrice=500": 5,
    "/products?name=h&sort=name": 5,
    "/products?offset=50": 8,
}
"""Pages of the list, and how often readers want each."""

_LIST_SHARE: Final = 0.75
_CONNECTIONS: Final = 64
_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a run; the same plan gives the same requests at the same times.

    Attributes:
        seconds: the length of the run.
        reads: the time, the reader and the path of each read, in order.
        changes: the time of each change, and the number of its product.
    """

    seconds: float
    reads: Sequence[tuple[float, int, str]]
    changes: Sequence[tuple[float, int]]


def plan_of_day(seconds: float, quiet: float, busy: float, bursts: Sequence[float]) -> Plan:
    """Return a day of traffic in `seconds`.

    Args:
        seconds: the length of the run.
        quiet: reads a second at night.
        busy: reads a second at noon; a burst has three times as many for a thirtieth of the day.
        bursts: the starts of bursts, as parts of the day.
    """
    chance = random.Random(13)  # noqa: S311 (the same traffic in each run)
    reads: list[tuple[float, int, str]] = []
    moment = 0.0
    while True:
        part = moment / seconds
        noon = 1 - abs(2 * part - 1)
        rate = quiet + (busy - quiet) * noon
        if any(start <= part < start + 1 / 30 for start in bursts):
            rate = 3 * busy
        moment += chance.expovariate(rate)
        if moment >= seconds:
            break
        if chance.random() < _LIST_SHARE:
            path = chance.choices(list(LISTS), list(LISTS.values()))[0]
        else:
            path = f"/products/{_product_id(min(int(chance.expovariate(0.1)), PRODUCTS - 1))}"
        reads.append((moment, chance.randrange(READERS), path))
    singles = [seconds * (number + 0.5) / 10 for number in range(9)]
    price_list = [seconds * 0.55 + number / 10 for number in range(30)]
    changes = [(moment, chance.randrange(PRODUCTS)) for moment in sorted((*singles, *price_list))]
    return Plan(seconds, reads, changes)


@dataclass(frozen=True, slots=True)
class Read:
    """A read that a reader made.

    Attributes:
        started: seconds since the start of the run.
        seconds: its duration.
        path: below the base path, with its query.
        status: 200 or 304, or the status of an error.
        tag: the entity tag of the response.
        is_hit: whether the cache had the response.
    """

    started: float
    seconds: float
    path: str
    status: int
    tag: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A version of a product that replaces all lower ones.

    Attributes:
        made: when the API had confirmed the change.
        confirmed: when the invalidation was confirmed; None without one.
    """

    product_id: str
    version: int
    made: float
    confirmed: float | None = None


@dataclass(slots=True)
class Run:
    """What was measured.

    Attributes:
        reads: all reads of the readers.
        changes: all changes in their order.
        shown: the versions of the products in each response, by path and entity tag.
        wrong: sentences about responses that no cache may send.
        origin_requests: reads of the readers that reached the local server: `list` and `get`.
        invalidations: how many the stand-in created.
    """

    reads: list[Read] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    shown: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    origin_requests: dict[str, int] = field(default_factory=dict)
    invalidations: int = 0

    def requests(self, operation: str) -> int:
        """Return how many reads of `list` or `get` the readers sent."""
        return sum(operation_of(read.path) == operation for read in self.reads)

    def hit_ratio(self, operation: str) -> float:
        """Return the part of the reads of an operation that did not reach the local server."""
        return 1 - self.origin_requests[operation] / self.requests(operation)

    def ages(self) -> list[tuple[Read, float, float | None]]:
        """Return each read that showed an old product, with the age of what it showed.

        The age is the time from the first change that the read does not show until its start. The
        last value is the time since the invalidation of that change, if that was confirmed before.
        """
        made: dict[str, list[Change]] = {}
        for change in self.changes:
            made.setdefault(change.product_id, []).append(change)
        found: list[tuple[Read, float, float | None]] = []
        for read in self.reads:
            missed = [
                change
                for product_id, version in self.shown.get((read.path, read.tag), {}).items()
                for change in made.get(product_id, ())
                if change.version > version and change.made < read.started
            ]
            if missed:
                first = min(missed, key=lambda change: change.made)
                confirmed = [
                    read.started - change.confirmed
                    for change in missed
                    if change.confirmed is not None and change.confirmed < read.started
                ]
                age = read.started - first.made
                found.append((read, age, max(confirmed) if confirmed else None))
        return found


def operation_of(path: str) -> str:
    """Return `list` or `get`."""
    return "get" if path.startswith("/products/") else "list"


def run(plan: Plan, *, invalidates: bool, window: float = WINDOW_SECONDS) -> Run:
    """Carry a plan out on new servers.

    Args:
        plan: the reads and changes.
        invalidates: whether `cache_invalidator` receives the changes.
        window: how long the queue gathers messages, in seconds.
    """
    measured = Run()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(
            local_server(Path(folder) / "data", EDGE_CACHE_SECONDS=str(EDGE_CACHE_SECONDS))
        )
        edge = stack.enter_context(varnish(server.address, Path(folder)))
        standin = stack.enter_context(cloudfront(edge.invalidate))
        traffic = _Traffic(plan, edge.address, measured)
        asyncio.run(traffic.fill())
        before = _served(server)
        invalidate = _invalidator(standin) if invalidates else None
        asyncio.run(traffic.carry_out(invalidate, window))
        served = _served(server)
        measured.invalidations = len(standin.invalidations)
    measured.origin_requests = {
        operation: served[operation] - before[operation] - traffic.keyed[operation]
        for operation in served
    }
    return measured


def _served(server: LocalProcess) -> dict[str, int]:
    """Return how many reads the local server has logged."""
    log = server.output
    return {"list": log.count(" GET /v1.0/products "), "get": log.count(" GET /v1.0/products/")}


def _product_id(number: int) -> str:
    return f"PROD-EDGE-{number + 1}"


type Invalidate = Callable[[Sequence[str]], None]
"""Handles a batch of events, as texts; raises an error if one fails."""


def _invalidator(standin: CloudFront) -> Invalidate:
    """Return a function that lets `cache_invalidator` handle a batch."""
    settings = {
        **CREDENTIALS,
        "AWS_REGION": REGION,
        "DISTRIBUTION_ID": DISTRIBUTION_ID,
        "INVALIDATION_PATHS": PATH,
    }
    with _environment(settings):
        module = importlib.import_module("product_lambda.event_handlers.cache_invalidator")
        # Its client reads the credentials here.
        cache = EdgeCache(DISTRIBUTION_ID, [PATH], REGION, standin.endpoint_url)
    vars(module)["CACHE"] = cache

    def invalidate(texts: Sequence[str]) -> None:
        records = [
            {"messageId": str(number), "body": text, "eventSource": "aws:sqs"}
            for number, text in enumerate(texts)
        ]
        response = module.handler({"Records": records}, LambdaContext(60))
        if response["batchItemFailures"]:
            raise SystemExit("The cache was not invalidated: see the log above.")

    return invalidate


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Client:
    """Keeps connections open; each request uses a free one."""

    def __init__(self, address: str) -> None:
        self._host, self._port = urlsplit(address).hostname, urlsplit(address).port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._limit = asyncio.Semaphore(_CONNECTIONS)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> _Response:
        """Send a request, and return its response."""
        lines = {"Host": "edge", "Content-Length": str(len(body)), **headers}
        if not body:
            del lines["Content-Length"]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with self._limit, asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await self._connection()
            writer.write(f"{method} /v1.0{path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            response = await _response_from(reader)
            self._free.append((reader, writer))
            return response

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():  # the cache closes idle connections
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        """Close all connections."""
        for _, writer in self._free:
            writer.close()


async def _response_from(reader: asyncio.StreamReader) -> _Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return _Response(int(head[0].split(" ", 2)[1]), headers, body)


class _Traffic:
    """The readers and the writer of one run.

    Attributes:
        keyed: how many reads with a key the writer has sent, which all reach the local server.
    """

    def __init__(self, plan: Plan, address: str, measured: Run) -> None:
        self.keyed = {"list": 0, "get": 0}
        self._plan = plan
        self._address = address
        self._measured = measured
        self._known: dict[tuple[int, str], str] = {}
        self._digests: dict[tuple[str, str], str] = {}
        self._products: dict[str, dict[str, Any]] = {}
        self._queue: asyncio.Queue[tuple[float, int, str] | None] = asyncio.Queue()
        self._started = 0.0

    def _now(self) -> float:
        return time.perf_counter() - self._started

    async def fill(self) -> None:
        """Create the products."""
        client = _Client(self._address)
        for number in range(PRODUCTS):
            body = {**new_product(), "productId": _product_id(number), "price": 100 + number * 10}
            created = await self._write(client, "POST", "/products", body)
            self._products[created["productId"]] = created
        client.close()

    async def carry_out(self, invalidate: Invalidate | None, window: float) -> None:
        """Send all reads and changes at their times, and wait for the last one."""
        client = _Client(self._address)
        self._started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._change_all(client))
            tasks.create_task(self._invalidate_all(invalidate, window))
            for moment, reader, path in self._plan.reads:
                pause = moment - self._now()
                if pause > 0:
                    await asyncio.sleep(pause)
                tasks.create_task(self._read(client, reader, path))
        client.close()

    async def _read(self, client: _Client, reader: int, path: str) -> None:
        known = self._known.get((reader, path), "")
        headers = {"Accept-Encoding": "identity"}
        if known:
            headers["If-None-Match"] = known
        started = self._now()
        response = await client.send("GET", path, headers)
        tag = response.headers.get("etag", "")
        self._measured.reads.append(
            Read(
                started,
                self._now() - started,
                path,
                response.status,
                tag,
                response.headers.get("x-cache") == "hit",
            )
        )
        self._check(path, known, response)
        self._known[reader, path] = tag

    def _check(self, path: str, known: str, response: _Response) -> None:
        """Note a response that is an error or does not belong to its entity tag."""
        wrong, tag = self._measured.wrong, response.headers.get("etag", "")
        if response.status == 304:  # noqa: PLR2004
            if not known or known != tag:
                wrong.append(f"304 with {tag} for a reader that knows {known or 'no tag'}: {path}")
            return
        if response.status != 200:  # noqa: PLR2004
            wrong.append(f"{response.status} for {path}")
            return
        digest = hashlib.sha256(response.body).hexdigest()
        if self._digests.setdefault((path, tag), digest) != digest:
            wrong.append(f"two bodies with the tag {tag}: {path}")
        if (path, tag) not in self._measured.shown:
            document = json.loads(response.body)
            products = document.get("products", [document])
            self._measured.shown[path, tag] = {
                product["productId"]: product["version"] for product in products
            }

    async def _change_all(self, client: _Client) -> None:
        for moment, number in self._plan.changes:
            await asyncio.sleep(max(0.0, moment - self._now()))
            before = self._products[_product_id(number)]
            path = f"/products/{before['productId']}"
            after = await self._write(client, "PUT", path, {"price": before["price"] + 1})
            made = self._now()
            self._products[after["productId"]] = after
            change = Change(after["productId"], after["version"], made)
            self._measured.changes.append(change)
            event = text_of(change_event(_exact(before), _exact(after)))
            self._queue.put_nowait((made, len(self._measured.changes) - 1, event))
            await self._read_with_key(client, after)
        self._queue.put_nowait(None)

    async def _read_with_key(self, client: _Client, after: Mapping[str, Any]) -> None:
        """Read the product and the list with a key: both must show the change."""
        for path in (f"/products/{after['productId']}", "/products?limit=100"):
            response = await client.send("GET", path, {"x-api-key": KEY})
            self.keyed[operation_of(path)] += 1
            document = json.loads(response.body)
            shown = {
                product["productId"]: product["version"]
                for product in document.get("products", [document])
            }
            is_new = shown.get(after["productId"]) == after["version"]
            if not is_new or response.headers["x-cache"] == "hit":
                self._measured.wrong.append(f"a read with a key from the cache: {path}")

    async def _write(
        self, client: _Client, method: str, path: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        headers = {"x-api-key": KEY, "Content-Type": "application/json"}
        response = await client.send(method, path, headers, json.dumps(body).encode())
        if response.status >= 400 or response.headers["x-cache"] == "hit":  # noqa: PLR2004
            raise SystemExit(f"{method} {path} got {response.status}: run make run, and send it.")
        document: dict[str, Any] = json.loads(response.body)
        return document

    async def _invalidate_all(self, invalidate: Invalidate | None, window: float) -> None:
        """Handle the events in batches: a message waits for the delay, a batch for the window."""
        waiting: list[tuple[float, int, str]] = []
        has_ended = False
        while waiting or not has_ended:
            if not waiting:
                message = await self._queue.get()
                if message is None:
                    return
                waiting.append(message)
            await asyncio.sleep(max(0.0, waiting[0][0] + DELAY_SECONDS - self._now()))
            await asyncio.sleep(window)
            visible = self._now() - DELAY_SECONDS
            while not self._queue.empty():
                message = self._queue.get_nowait()
                if message is None:
                    has_ended = True
                else:
                    waiting.append(message)
            batch = [message for message in waiting if message[0] <= visible]
            waiting = waiting[len(batch) :]
            if invalidate:
                await asyncio.to_thread(invalidate, [text for _, _, text in batch])
                for _, index, _ in batch:
                    change = self._measured.changes[index]
                    self._measured.changes[index] = replace(change, confirmed=self._now())


def _exact(product: Mapping[str, Any]) -> dict[str, Any]:
    """Return a product with exact amounts."""
    document: dict[str, Any] = json.loads(json.dumps(product), parse_float=Decimal)
    return document
