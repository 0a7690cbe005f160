"""Checks of a deployed product API over HTTP: every operation once, and the latency of reads.

They change only one product, which they create themselves and always delete. A traffic shift judges
the new versions by the alarms, so the checks must not cause an alarm: they read products that
exist, and send few requests (terraform/cloudwatch.tf).
"""

import math
import secrets
import signal
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from types import FrameType
from typing import NamedTuple

from product_tools.api_client import KEY_IN_FLIGHT, ApiClient, ApiResponse, ApiUnavailableError

SMOKE_PREFIX = "PROD-SMOKE-"
ATTEMPTS = 3
ROUNDS_TO_SETTLE = 5
SECONDS_BETWEEN_ROUNDS = 0.5
# At most 20 reads a second: all users share the limit of the stage, 100 a second.
SECONDS_BETWEEN_READS = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIST, READ, CREATE, READ_BACK, UPDATE, DELETE, LIST_LATENCY, READ_LATENCY = CHECKS = (
    "list products",
    "read a listed product",
    "create a product",
    "read the new product",
    "update the new product",
    "delete the new product",
    "latency of the list",
    "latency of a read by id",
)
CLEAN_UP = "clean up"
EMPTY_CATALOGUE = "the catalogue is empty, so there is no product to read"
ADVICE: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "check the API key, and the address, which ends just before /products",
    HTTPStatus.NOT_FOUND: "check the address, which ends just before /products",
}
SERVER_ERROR_ADVICE = "look for the request in the functions' logs"
DEFAULT_ADVICE = "check that the deployed version is the one that this repository describes"


class CheckFailedError(Exception):
    """A check failed; the message is one sentence with the next step."""


class StoppedError(BaseException):
    """A stop signal has arrived.

    It derives from BaseException, so that no handler of failed checks catches it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class ListedProduct:
    """A product of the list: reads of it find it, unlike reads of an id that may be unused."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._path = ""

    def list_products(self) -> str:
        """Read the first page, and choose the last product of it that no validation has created."""
        response = self._api.send("GET", "/products")
        _expect(response, "GET /products", HTTPStatus.OK)
        products = response.field("products")
        if not isinstance(products, list) or not all(map(_is_product, products)):
            raise CheckFailedError(
                f"GET /products returned no list of products: {ADVICE[HTTPStatus.NOT_FOUND]}."
            )
        ids = [str(product["productId"]) for product in products]
        lasting = [product_id for product_id in ids if not product_id.startswith(SMOKE_PREFIX)]
        self._path = f"/products/{lasting[-1]}" if lasting else ""
        return f"products on the first page: {len(products)}"

    def read(self) -> str:
        """Read the product, if the catalogue has one."""
        if not self._path:
            return EMPTY_CATALOGUE
        _expect(self._api.send("GET", self._path), f"GET {self._path}", HTTPStatus.OK)
        return f"{self._path} was read"

    def measure(self, measure_reads: Callable[[str], str]) -> str:
        """Measure reads of the product, if the catalogue has one."""
        return measure_reads(self._path) if self._path else EMPTY_CATALOGUE


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of one kind of read, in milliseconds."""

    operation: str
    samples: int
    p50: float
    p95: float
    budget: float


class CheckResult(NamedTuple):
    """Result of one check: "passed", "failed" or "not run", and a message."""

    name: str
    result: str
    message: str


@dataclass
class Report:
    """Results of a validation.

    Attributes:
        passed: the messages of the passed checks, by name.
        failed: the messages of the failed checks, by name.
        stopped_by: the stop signal that ended the validation early; None without one.
    """

    base_url: str
    passed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    latencies: list[Latency] = field(default_factory=list)
    stopped_by: signal.Signals | None = None

    @property
    def is_good(self) -> bool:
        """Whether every check has passed."""
        return not self.failed and self.stopped_by is None and set(CHECKS) <= set(self.passed)

    def check(self, name: str, run: Callable[[], str]) -> bool:
        """Run one check, keep its message, and return whether it passed."""
        self.failed.pop(name, None)
        try:
            self.passed[name] = run()
        except (CheckFailedError, ApiUnavailableError) as error:
            self.failed[name] = str(error)
        return name in self.passed

    def results(self) -> Iterator[CheckResult]:
        """Return the result of every check, in their order."""
        for name in (*CHECKS, CLEAN_UP):
            if name in self.failed:
                yield CheckResult(name, "failed", self.failed[name])
            elif name in self.passed:
                yield CheckResult(name, "passed", self.passed[name])
            else:
                yield CheckResult(name, "not run", "")


class SmokeProduct:
    """The product that a validation creates, reads, updates and deletes."""

    def __init__(self, api: ApiClient) -> None:
        self.product_id = f"{SMOKE_PREFIX}{secrets.token_hex(6).upper()}"
        self._api = api
        self._path = f"/products/{self.product_id}"
        self._idempotency_key = str(uuid.uuid4())
        self._etag = ""
        self._may_exist = False
        self._creation_is_settled = False

    def create(self) -> str:
        """Create the product, and check status, Location and ETag of the response."""
        response = self._post()
        _expect(response, "POST /products", HTTPStatus.CREATED)
        location, etag = response.headers.get("location", ""), response.headers.get("etag")
        if not location.endswith(self._path) or not etag:
            raise CheckFailedError(
                f"POST /products returned Location {location!r} and ETag {etag}: {DEFAULT_ADVICE}."
            )
        self._etag = etag
        return f"{self.product_id} was created"

    def read_back(self) -> str:
        """Read the new product at once: a read by id is strongly consistent."""
        response = self._api.send("GET", self._path)
        self._expect_price(response, "GET", "1.23")
        if response.headers.get("etag") != self._etag:
            raise CheckFailedError(
                f"GET {self._path} returned ETag {response.headers.get('etag')} instead of"
                f" {self._etag}: {DEFAULT_ADVICE}."
            )
        return "the product was readable at once, with the exact price"

    def update(self) -> str:
        """Change the price on the condition that nothing else has changed the product."""
        response = self._api.send(
            "PUT", self._path, body={"price": Decimal("4.56")}, headers={"if-match": self._etag}
        )
        self._expect_price(response, "PUT", "4.56")
        if response.headers.get("etag") in {None, self._etag}:
            raise CheckFailedError(f"PUT {self._path} returned no new ETag: {DEFAULT_ADVICE}.")
        return "the price and the ETag changed"

    def delete(self) -> str:
        """Delete the product, and check that a read no longer finds it."""
        _expect(self._api.send("DELETE", self._path), f"DELETE {self._path}", HTTPStatus.NO_CONTENT)
        self._may_exist = False
        _expect(self._api.send("GET", self._path), f"GET {self._path}", HTTPStatus.NOT_FOUND)
        return "the product was deleted and is no longer readable"

    def clean_up(self) -> str:
        """Delete the product if it may exist; a second call is harmless."""
        if self._may_exist and not self._creation_is_settled:
            self._settle_creation()
        if not self._may_exist:
            return "no product is left behind"
        try:
            response = self._api.send("DELETE", self._path)
        except ApiUnavailableError as error:
            raise self._left_behind(str(error)) from error
        never_existed = response.status == HTTPStatus.NOT_FOUND and self._creation_is_settled
        if response.status != HTTPStatus.NO_CONTENT and not never_existed:
            raise self._left_behind(response.reason())
        self._may_exist = False
        return f"{self.product_id} was deleted"

    def _left_behind(self, reason: str) -> CheckFailedError:
        return CheckFailedError(
            f"{self.product_id} may be left behind ({reason}): delete it with"
            f" curl -X DELETE -H 'x-api-key: …' {self._api.base_url}{self._path}"
        )

    def _settle_creation(self) -> None:
        # A creation without a response may still run, and create the product after its deletion.
        # A retry with the same idempotency key succeeds only when the creation is complete.
        with suppress(ApiUnavailableError):
            for _ in range(ROUNDS_TO_SETTLE):
                self._post()
                if self._creation_is_settled:
                    return
                time.sleep(SECONDS_BETWEEN_ROUNDS)

    def _post(self) -> ApiResponse:
        self._may_exist = True
        response = self._api.send(
            "POST",
            "/products",
            body={
                "productId": self.product_id,
                "name": "Deployment check",
                "description": "Created and deleted by the check after a deployment.",
                "price": Decimal("1.23"),
                "period": "once-off",
                "features": ["Not for sale"],
            },
            headers={"idempotency-key": self._idempotency_key},
        )
        self._creation_is_settled = response.field("type") != KEY_IN_FLIGHT
        is_rejected = HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
        self._may_exist = not (is_rejected and self._creation_is_settled)
        return response

    def _expect_price(self, response: ApiResponse, method: str, price: str) -> None:
        _expect(response, f"{method} {self._path}", HTTPStatus.OK)
        if response.field("price") != Decimal(price):
            raise CheckFailedError(
                f"{method} {self._path} returned price {response.field('price')} instead of"
                f" {price}: {DEFAULT_ADVICE}."
            )


def validate(
    report: Report, api: ApiClient, latency_api: ApiClient, samples: int, budget: float
) -> None:
    """Call every operation once, measure the latency of reads, and always delete the product.

    A stop signal ends the checks, but not the deletion; call this in `stop_signals_raised_once`.

    Args:
        report: gets the results.
        api: a client with retries.
        latency_api: a client without retries, since waits between attempts are not latency.
        samples: the number of measured reads of each kind.
        budget: the largest allowed p95 of reads, in milliseconds.
    """
    listed_product, smoke_product = ListedProduct(api), SmokeProduct(api)
    try:
        try:
            _check_operations(report, listed_product, smoke_product)
            _check_latencies(report, listed_product, latency_api, samples, budget)
        finally:
            report.check(CLEAN_UP, smoke_product.clean_up)
    except StoppedError as stop:
        # The signal may have interrupted the first clean-up; no second signal is raised.
        report.check(CLEAN_UP, smoke_product.clean_up)
        report.stopped_by = stop.signal


@contextmanager
def stop_signals_raised_once() -> Iterator[None]:
    """Raise StoppedError at the first stop signal, and ignore all later ones.

    A signal that this program already ignores, as under nohup, stays ignored.
    """
    is_stopped = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopped
        if not is_stopped:
            is_stopped = True
            raise StoppedError(number)

    previous = {
        number: handler
        for number in STOP_SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in previous:
        signal.signal(number, stop)
    try:
        with suppress(StoppedError):  # a signal after the last check, while the report is printed
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def percentile_95(times: Sequence[float]) -> float:
    """Return the 95th percentile by the nearest-rank method."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def _is_product(value: object) -> bool:
    return isinstance(value, dict) and "productId" in value


def _check_operations(
    report: Report, listed_product: ListedProduct, smoke_product: SmokeProduct
) -> None:
    if not report.check(LIST, listed_product.list_products):
        return
    report.check(READ, listed_product.read)
    if report.check(CREATE, smoke_product.create):
        report.check(READ_BACK, smoke_product.read_back)
        report.check(UPDATE, smoke_product.update)
        report.check(DELETE, smoke_product.delete)


def _check_latencies(
    report: Report, listed_product: ListedProduct, api: ApiClient, samples: int, budget: float
) -> None:
    if LIST in report.failed:
        return

    def measure(path: str) -> str:
        return _measure_reads(report, api, path, samples, budget)

    report.check(LIST_LATENCY, lambda: measure("/products"))
    report.check(READ_LATENCY, lambda: listed_product.measure(measure))


def _measure_reads(report: Report, api: ApiClient, path: str, samples: int, budget: float) -> str:
    times = []
    for _ in range(samples + 1):
        time.sleep(SECONDS_BETWEEN_READS)
        response = api.send("GET", path)
        _expect(response, f"GET {path}", HTTPStatus.OK)
        times.append(response.milliseconds)
    del times[0]  # the first read opened the connection
    latency = Latency(
        f"GET {path}", samples, statistics.median(times), percentile_95(times), budget
    )
    report.latencies.append(latency)
    measured = f"p50 {latency.p50:.1f} ms, p95 {latency.p95:.1f} ms of {samples} reads"
    if latency.p95 > budget:
        raise CheckFailedError(
            f"GET {path} is too slow: {measured}, but the budget for p95 is {budget:g} ms: measure"
            " again from near the region, then look at the functions' durations on the dashboard."
        )
    return f"{measured}, within {budget:g} ms"


def _expect(response: ApiResponse, request: str, status: HTTPStatus) -> None:
    """Check the status of a response.

    Raises:
        CheckFailedError: the response has another status.
    """
    if response.status == status:
        return
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = SERVER_ERROR_ADVICE
    else:
        advice = ADVICE.get(response.status, DEFAULT_ADVICE)
    raise CheckFailedError(
        f"{request} should return {int(status)}, but returned {response.reason()}: {advice}."
    )
