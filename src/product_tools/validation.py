"""Checks a deployed product API from outside: every operation once, and the latency of reads.

It changes no product except one of its own, which it deletes whatever happens.
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

from product_tools.api_client import KEY_IN_FLIGHT, ApiClient, ApiResponse, ApiUnavailableError

KNOWN_PRODUCT = "/products/PROD-001"
ATTEMPTS = 3
ROUNDS_TO_SETTLE = 5
SECONDS_BETWEEN_ROUNDS = 0.5
# At most 20 reads a second: the throttle of the stage, 100 a second, is there for everybody.
SECONDS_BETWEEN_READS = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIST, READ, CREATE, READ_BACK, UPDATE, DELETE, LIST_LATENCY, READ_LATENCY = CHECKS = (
    "list products",
    "read PROD-001",
    "create a product",
    "read it back at once",
    "update it",
    "delete it",
    "latency of the list",
    "latency of a read by id",
)
CLEAN_UP = "clean up"
ADVICE: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "check the API key, and the address, which ends just before /products",
    HTTPStatus.NOT_FOUND: "check the address, which ends just before /products",
}
ADVICE_ON_OUR_FAULT = "look for the request in the functions' logs"
ADVICE_OTHERWISE = "check that the deployed version is the one that this repository describes"


class CheckFailedError(Exception):
    """The API did not do what it should; the text is a sentence with the next step."""


class StoppedError(BaseException):
    """A signal asked this program to stop; a BaseException, so that it is no failed check."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one kind of read, in milliseconds."""

    operation: str
    samples: int
    p50: float
    p95: float
    budget: float


@dataclass
class Report:
    """What was found: sentences by check, for those that passed and those that failed."""

    base_url: str
    passed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    latencies: list[Latency] = field(default_factory=list)
    stopped_by: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether every check was made and passed."""
        return not self.failed and self.stopped_by is None and set(CHECKS) <= set(self.passed)

    def check(self, name: str, look: Callable[[], str]) -> bool:
        """Make one check, keep what it says, and tell whether it passed."""
        self.failed.pop(name, None)
        try:
            self.passed[name] = look()
        except (CheckFailedError, ApiUnavailableError) as fault:
            self.failed[name] = str(fault)
        return name in self.passed


class SmokeProduct:
    """The one product that a validation makes, and its way from creation to deletion."""

    def __init__(self, api: ApiClient) -> None:
        self.product_id = f"PROD-SMOKE-{secrets.token_hex(6).upper()}"
        self._api = api
        self._path = f"/products/{self.product_id}"
        self._idempotency_key = str(uuid.uuid4())
        self._may_exist = False
        self._creation_was_answered = False

    def create(self) -> str:
        """Create the product, and check the answer's status, Location and ETag."""
        response = self._post()
        _expect(response, "POST /products", HTTPStatus.CREATED)
        location, etag = response.headers.get("location", ""), response.headers.get("etag")
        if not location.endswith(self._path) or etag != '"1"':
            raise CheckFailedError(
                f"POST /products answered with Location {location!r} and ETag {etag}:"
                f" {ADVICE_OTHERWISE}."
            )
        return f"{self.product_id} was created"

    def read_back(self) -> str:
        """Read the product just created: a read by id is strongly consistent."""
        self._expect_price(self._api.send("GET", self._path), "GET", "1.23", '"1"')
        return "the product was there at once, its amount exact"

    def update(self) -> str:
        """Change the price on the condition that the version is the one created."""
        response = self._api.send(
            "PUT", self._path, body={"price": Decimal("4.56")}, headers={"if-match": '"1"'}
        )
        self._expect_price(response, "PUT", "4.56", '"2"')
        return "the price was changed, and the version with it"

    def delete(self) -> str:
        """Delete the product, and check that it can no longer be read."""
        _expect(self._api.send("DELETE", self._path), f"DELETE {self._path}", HTTPStatus.NO_CONTENT)
        self._may_exist = False
        _expect(self._api.send("GET", self._path), f"GET {self._path}", HTTPStatus.NOT_FOUND)
        return "the product was deleted, and is no longer shown"

    def clean_up(self) -> str:
        """Delete the product if it may exist; doing so again is harmless."""
        if self._may_exist and not self._creation_was_answered:
            self._settle_creation()
        if not self._may_exist:
            return "nothing is left behind"
        try:
            response = self._api.send("DELETE", self._path)
        except ApiUnavailableError as fault:
            raise self._left_behind(str(fault)) from fault
        never_existed = response.status == HTTPStatus.NOT_FOUND and self._creation_was_answered
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
        # A creation that was not answered may be done after a deletion that comes too early. Asked
        # for again under its key, it is done once, now or then, and certainly before the answer.
        with suppress(ApiUnavailableError):
            for _ in range(ROUNDS_TO_SETTLE):
                self._post()
                if self._creation_was_answered:
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
                "description": "Made and deleted at once by the check after a deployment.",
                "price": Decimal("1.23"),
                "period": "once-off",
                "features": ["Not for sale"],
            },
            headers={"idempotency-key": self._idempotency_key},
        )
        self._creation_was_answered = response.member("type") != KEY_IN_FLIGHT
        rejected = HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
        self._may_exist = not (rejected and self._creation_was_answered)
        return response

    def _expect_price(self, response: ApiResponse, method: str, price: str, etag: str) -> None:
        _expect(response, f"{method} {self._path}", HTTPStatus.OK)
        found = (response.member("price"), response.headers.get("etag"))
        if found != (Decimal(price), etag):
            raise CheckFailedError(
                f"{method} {self._path} answered with price {found[0]} and ETag {found[1]}, where"
                f" {price} and {etag} were due: {ADVICE_OTHERWISE}."
            )


def make_checks(report: Report, api: ApiClient, smoke_product: SmokeProduct) -> None:
    """Call every operation once."""
    if not report.check(LIST, lambda: _list_products(api)):
        return
    report.check(READ, lambda: _read_known_product(api))
    if report.check(CREATE, smoke_product.create):
        report.check(READ_BACK, smoke_product.read_back)
        report.check(UPDATE, smoke_product.update)
        report.check(DELETE, smoke_product.delete)


def _list_products(api: ApiClient) -> str:
    response = api.send("GET", "/products")
    _expect(response, "GET /products", HTTPStatus.OK)
    products = response.member("products")
    if not isinstance(products, list):
        raise CheckFailedError(
            f"GET /products answered without a list of products: {ADVICE[HTTPStatus.NOT_FOUND]}."
        )
    return f"products on the first page: {len(products)}"


def _read_known_product(api: ApiClient) -> str:
    response = api.send("GET", KNOWN_PRODUCT)
    _expect(response, f"GET {KNOWN_PRODUCT}", HTTPStatus.OK, HTTPStatus.NOT_FOUND)
    return "it is there" if response.status == HTTPStatus.OK else "it is not there, which is fine"


def measure(report: Report, api: ApiClient, samples: int, budget: float) -> None:
    """Measure the latency of reads."""
    if LIST in report.failed:
        return
    report.check(LIST_LATENCY, lambda: _measure_reads(report, api, "/products", samples, budget))
    report.check(READ_LATENCY, lambda: _measure_reads(report, api, KNOWN_PRODUCT, samples, budget))


def _measure_reads(report: Report, api: ApiClient, path: str, samples: int, budget: float) -> str:
    times = []
    for _ in range(samples + 1):
        time.sleep(SECONDS_BETWEEN_READS)
        response = api.send("GET", path)
        _expect(response, f"GET {path}", HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        times.append(response.milliseconds)
    del times[0]  # it opened the connection
    latency = Latency(f"GET {path}", samples, statistics.median(times), _p95(times), budget)
    report.latencies.append(latency)
    found = f"p50 {latency.p50:.1f} ms, p95 {latency.p95:.1f} ms of {samples} reads"
    if latency.p95 > budget:
        raise CheckFailedError(
            f"GET {path} is too slow: {found}, where p95 may be {budget:g} ms: measure again from"
            " near the region, then look at the functions' durations on the dashboard."
        )
    return f"{found}, within {budget:g} ms"


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def _expect(response: ApiResponse, request: str, *statuses: HTTPStatus) -> None:
    if response.status in statuses:
        return
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = ADVICE_ON_OUR_FAULT
    else:
        advice = ADVICE.get(response.status, ADVICE_OTHERWISE)
    wanted = " or ".join(str(int(status)) for status in statuses)
    raise CheckFailedError(
        f"{request} should answer {wanted}, but came back with {response.reason()}: {advice}."
    )


@contextmanager
def stop_signals_raised_once() -> Iterator[None]:
    """Raise StoppedError where the program is when it is first asked to stop, then heed no more.

    A signal that the caller has this program ignore, as nohup does, stays ignored.
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
        with suppress(StoppedError):  # one that comes when all is done but the showing
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def sentences(report: Report) -> Iterator[tuple[str, str, str]]:
    """Give each check's name, result and sentence."""
    for name in (*CHECKS, CLEAN_UP):
        if name in report.failed:
            yield name, "failed", report.failed[name]
        else:
            said = report.passed.get(name)
            yield name, "not run" if said is None else "passed", said or ""
