"""The arithmetic of docs/cost.md: what a month of a catalogue costs, by part and by switch.

It measures nothing and reads no file. All amounts are US dollars without taxes; free allowances,
which all services of an account share, count for nothing, except invalidated paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from benchmarks.prices import Price
from benchmarks.size_costs import COLD_SHARE, Sizes, compute_usd, mean_billed_ms
from benchmarks.subjects import OURS
from tests.support.workload import OPERATIONS, READS, SHARES

PAGE: Final = 50
ALARM_METRICS: Final = 26
"""Metrics of the alarms that are always on (terraform/cloudwatch.tf)."""
CUSTOM_METRICS: Final = 5
"""Counted from log lines (terraform/cloudwatch.tf)."""
DETAILED_METRICS: Final = 6 * 5
"""Of each method with a function: count, latency, integration latency, 4XX and 5XX errors (Amazon
API Gateway Developer Guide, "Amazon API Gateway dimensions and metrics")."""
FIREWALL_RULES: Final = 4
FUNCTIONS: Final = 5

API, LAMBDA, TABLE = "API Gateway", "Lambda", "DynamoDB"
TRANSFER, LOGS = "data transfer", "logs"
METRICS, TRACES = "metrics and alarms", "traces"
FIREWALL, SNAPSTART = "firewall", "SnapStart"
EVENTS, AUDIT, EDGE = "change events", "audit trail", "edge cache"
SEARCH, ASYNC = "search index", "asynchronous writes"
OPTIONAL_PARTS: Final = (EVENTS, AUDIT, EDGE, SEARCH, ASYNC)
PARTS: Final = (
    *(API, LAMBDA, TABLE, TRANSFER, LOGS, METRICS, TRACES, FIREWALL, SNAPSTART),
    *OPTIONAL_PARTS,
)
"""In the order of the tables."""

_GIGABYTE: Final = 1_000_000_000
_GIBIBYTE: Final = 1_073_741_824
_MEGABYTES_OF_ONE_GIBIBYTE: Final = 1024
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue, with its reads and changes in a month."""

    name: str
    products: int
    reads: int
    changes: int


@dataclass(frozen=True, slots=True)
class Switches:
    """What is switched on; the defaults are those of prod."""

    change_events: bool = False
    audit_log: bool = False
    edge_cache: bool = False
    search_index: bool = False
    async_writes: bool = False
    product_indexes: bool = False
    firewall: bool = True
    snapstart: bool = True

    @property
    def events(self) -> bool:
        """Whether change events are on: by their own switch, or for a consumer of them."""
        return self.change_events or self.audit_log or self.edge_cache or self.search_index


VARIABLES: Final[Mapping[str, str]] = {
    "change_events": "enable_change_events",
    "audit_log": "enable_audit_log",
    "edge_cache": "enable_cloudfront_cache",
    "search_index": "enable_opensearch",
    "async_writes": "enable_async_writes",
    "product_indexes": "enable_product_indexes",
    "firewall": "waf_enabled",
    "snapstart": "snapstart",
}
"""Terraform's variable of each switch."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one request uses; the bytes are those of its response and of its log lines."""

    read_units: Decimal
    write_units: Decimal
    response_bytes: int
    compressed_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a bill depends on, besides the catalogue and the switches.

    Attributes:
        memory_mb: the memory of the functions.
        uses: by operation, without product indexes; `uses_with_indexes` likewise.
        hit_ratios: measured share of reads that the edge cache answers, by operation; None before
            the first measurement.
        assumptions: by the names in catalogues.json.
    """

    prices: Mapping[str, Price]
    sizes: Sizes
    memory_mb: int
    uses: Mapping[str, Use]
    uses_with_indexes: Mapping[str, Use]
    hit_ratios: Mapping[str, Decimal] | None
    assumptions: Mapping[str, Decimal]

    def usd(self, price: str, amount: Decimal | int) -> Decimal:
        """Return what an amount costs by a price."""
        return self.prices[price].of(Decimal(amount))


def bill(catalogue: Catalogue, switches: Switches, inputs: Inputs) -> dict[str, Decimal]:
    """Return what a month costs, by part; parts that are off cost 0."""
    month = _Month(catalogue, switches, inputs)
    return {
        API: inputs.usd("api_request", month.origin_requests),
        LAMBDA: month.functions(),
        TABLE: month.table(),
        TRANSFER: month.transfer(),
        LOGS: month.logs(),
        METRICS: month.metrics(),
        TRACES: inputs.usd("trace", month.traces()),
        FIREWALL: month.firewall() if switches.firewall else Decimal(0),
        SNAPSTART: month.snapshots() if switches.snapstart else Decimal(0),
        EVENTS: month.events() if switches.events else Decimal(0),
        AUDIT: month.audit_trail() if switches.audit_log else Decimal(0),
        EDGE: month.edge() if switches.edge_cache else Decimal(0),
        SEARCH: month.search() if switches.search_index else Decimal(0),
        ASYNC: month.async_writes() if switches.async_writes else Decimal(0),
    }


def total(parts: Mapping[str, Decimal]) -> Decimal:
    """Return the sum of all parts."""
    return sum(parts.values(), Decimal(0))


def dearest(parts: Mapping[str, Decimal]) -> str:
    """Return the part that costs most."""
    return max(parts, key=lambda part: parts[part])


@dataclass(frozen=True, slots=True)
class Cut:
    """A switch that makes a part cheaper: its new value, and the costs with it."""

    switch: str
    value: bool
    part_usd: Decimal
    total_usd: Decimal


def best_cut(catalogue: Catalogue, part: str, inputs: Inputs) -> Cut | None:
    """Return the switch that takes most off a part; None if none takes off a tenth of it."""
    base = Switches()
    cuts = []
    for name in VARIABLES:
        value = not getattr(base, name)
        parts = bill(catalogue, replace(base, **{name: value}), inputs)
        cuts.append(Cut(name, value, parts[part], total(parts)))
    best = min(cuts, key=lambda cut: cut.part_usd)
    return best if best.part_usd <= bill(catalogue, base, inputs)[part] * 9 / 10 else None


def expected_hit_ratio(reads_a_second: Decimal, seconds: Decimal) -> Decimal:
    """Return the share of reads of one URL that a cache answers, with reads at random times.

    The first read is stored for `seconds`; the reads of that time are hits, then the next is a miss
    again. So of 1 + rate x seconds reads, one is a miss.
    """
    hits = reads_a_second * seconds
    return hits / (1 + hits)


class _Month:
    """A month of a catalogue: its requests and what they use."""

    def __init__(self, catalogue: Catalogue, switches: Switches, inputs: Inputs) -> None:
        self._catalogue = catalogue
        self._switches = switches
        self._inputs = inputs
        self._uses = inputs.uses_with_indexes if switches.product_indexes else inputs.uses
        self._requests = {operation: self._count(operation) for operation in OPERATIONS}
        self._origin = {
            operation: count * (1 - self._hit_ratio(operation))
            for operation, count in self._requests.items()
        }
        self.origin_requests = sum(self._origin.values(), Decimal(0))

    def functions(self) -> Decimal:
        """Return the bill of the functions of the API."""
        inputs = self._inputs
        billed_ms = sum(
            (
                count * mean_billed_ms(inputs.sizes.summaries[inputs.memory_mb, OURS, operation])
                for operation, count in self._origin.items()
            ),
            Decimal(0),
        )
        compute = compute_usd(inputs.memory_mb, billed_ms, inputs.prices)
        return compute + inputs.usd("lambda_request", self.origin_requests)

    def table(self) -> Decimal:
        """Return the bill of reads, synchronous writes and storage."""
        read_units = write_units = Decimal(0)
        for operation, count in self._origin.items():
            use = self._use(operation)
            read_units += count * use.read_units
            write_units += count * use.write_units
        copies = 4 if self._switches.product_indexes else 2  # the table and its indexes
        stored = self._catalogue.products * self._uses["get"].response_bytes * copies
        return (
            self._inputs.usd("table_read_unit", read_units)
            + self._inputs.usd("table_write_unit", write_units)
            + self._inputs.usd("table_gb_month", Decimal(stored) / _GIBIBYTE)
        )

    def transfer(self) -> Decimal:
        """Return the bill of responses to the internet; CloudFront fetches for nothing."""
        if self._switches.edge_cache:
            return Decimal(0)
        return self._inputs.usd("transfer_out_gb", self._response_gigabytes())

    def logs(self) -> Decimal:
        """Return the bill of log lines, and of their storage."""
        assumed = self._inputs.assumptions
        overhead = assumed["access_log_bytes"] + assumed["platform_log_bytes"]
        size = sum(
            (
                count * (self._use(operation).log_bytes + overhead)
                for operation, count in self._origin.items()
            ),
            Decimal(0),
        )
        gigabytes = size / _GIBIBYTE
        stored = gigabytes * assumed["stored_log_months"]
        return self._inputs.usd("log_gb", gigabytes) + self._inputs.usd("log_gb_month", stored)

    def metrics(self) -> Decimal:
        """Return the bill of the alarms, metrics and the dashboard that are always on."""
        return (
            self._inputs.usd("alarm_metric", ALARM_METRICS)
            + self._inputs.usd("metric", CUSTOM_METRICS + DETAILED_METRICS)
            + self._inputs.usd("dashboard", 1)
        )

    def traces(self) -> Decimal:
        """Return the number of traces."""
        assumed = self._inputs.assumptions
        always = assumed["traces_a_second"] * assumed["month_seconds"]
        others = max(self.origin_requests - always, Decimal(0))
        return min(self.origin_requests, always) + others * assumed["traced_share"]

    def firewall(self) -> Decimal:
        """Return the bill of the web ACL, which inspects what reaches the API."""
        return (
            self._inputs.usd("firewall", 1)
            + self._inputs.usd("firewall_rule", FIREWALL_RULES)
            + self._inputs.usd("firewall_request", self.origin_requests)
        )

    def snapshots(self) -> Decimal:
        """Return the bill of the snapshots of the functions, and of their use at cold starts."""
        assumed = self._inputs.assumptions
        gibibytes = Decimal(self._inputs.memory_mb) / _MEGABYTES_OF_ONE_GIBIBYTE
        cached = gibibytes * FUNCTIONS * assumed["snapshot_versions"] * assumed["month_seconds"]
        restored = gibibytes * COLD_SHARE * self.origin_requests
        return self._inputs.usd("snapstart_cache_gb_second", cached) + self._inputs.usd(
            "snapstart_restore_gb", restored
        )

    def events(self) -> Decimal:
        """Return the bill of the bus, its archive, the publisher, its alarms and its metric."""
        archived = self._catalogue.changes * self._inputs.assumptions["event_bytes"] / _GIBIBYTE
        return (
            self._inputs.usd("bus_event", self._catalogue.changes)
            + self._inputs.usd("archive_gb", archived)
            + self._event_function()
            + self._inputs.usd("alarm_metric", 4)
            + self._inputs.usd("metric", 1)
        )

    def audit_trail(self) -> Decimal:
        """Return the bill of the queue, the audit logger, and the objects of a year."""
        changes = self._catalogue.changes
        stored = 12 * changes * self._inputs.assumptions["event_bytes"] / _GIBIBYTE
        return (
            self._consumer("queue_request")
            + self._inputs.usd("object_put", changes)
            + self._inputs.usd("object_gb_month", stored)
        )

    def edge(self) -> Decimal:
        """Return the bill of CloudFront, the queue and the function that invalidates."""
        return (
            self._inputs.usd("edge_request", sum(self._requests.values(), Decimal(0)))
            + self._inputs.usd("edge_transfer_gb", self._response_gigabytes())
            + self._inputs.usd("edge_invalidation", self._catalogue.changes)
            + self._consumer("queue_request")
        )

    def search(self) -> Decimal:
        """Return the bill of a small instance without its disk, the queue and the indexer."""
        hours = self._inputs.assumptions["month_seconds"] / _HOUR
        return self._inputs.usd("search_instance_hour", hours) + self._consumer("queue_request")

    def async_writes(self) -> Decimal:
        """Return the bill of the FIFO queue, of the function that writes, and of its writes."""
        units = sum(
            (
                self._requests[operation] * self._uses[f"commanded_{operation}"].write_units
                for operation in OPERATIONS
                if operation not in READS
            ),
            Decimal(0),
        )
        return (
            self._consumer("fifo_queue_request")
            + self._inputs.usd("table_write_unit", units)
            + self._inputs.usd("alarm_metric", 1)
            + self._inputs.usd("metric", 1)
        )

    def _consumer(self, request_price: str) -> Decimal:
        """Return the bill of a queue and its function: a message for each change, and its alarms.

        A message is sent, received and deleted. Lambda also asks the empty queue all the time.
        """
        assumed = self._inputs.assumptions
        polls = assumed["queue_pollers"] * assumed["month_seconds"] / assumed["poll_seconds"]
        requests = 3 * self._catalogue.changes + polls
        return (
            self._inputs.usd(request_price, requests)
            + self._event_function()
            + self._inputs.usd("alarm_metric", 3)
        )

    def _event_function(self) -> Decimal:
        """Return the bill of a function that is called once for each change."""
        changes = self._catalogue.changes
        billed_ms = changes * self._inputs.assumptions["event_function_ms"]
        compute = compute_usd(self._inputs.memory_mb, billed_ms, self._inputs.prices)
        return compute + self._inputs.usd("lambda_request", changes)

    def _response_gigabytes(self) -> Decimal:
        size = sum(
            (
                count * self._response_bytes(operation)
                for operation, count in self._requests.items()
            ),
            Decimal(0),
        )
        return size / _GIGABYTE

    def _response_bytes(self, operation: str) -> Decimal:
        """Return the size of a response as it leaves the gateway.

        A long page repeats the hosting plans, which no catalogue does. So it is taken to compress
        like a page with one of each.
        """
        use = self._use(operation)
        if use.response_bytes < self._inputs.assumptions["compressed_from_bytes"]:
            return Decimal(use.response_bytes)
        if operation != "list":
            return Decimal(use.compressed_bytes)
        plans = self._uses["list_of_plans"]
        return Decimal(use.response_bytes) * plans.compressed_bytes / plans.response_bytes

    def _use(self, operation: str) -> Use:
        """Return the use of a request; with asynchronous writes, the function only queues."""
        is_short = operation == "list" and self._catalogue.products < PAGE
        use = self._uses["list_of_plans" if is_short else operation]
        if self._switches.async_writes and operation not in READS:
            # A creation still takes its number from the counter.
            return replace(use, write_units=Decimal(1 if operation == "create" else 0))
        return use

    def _count(self, operation: str) -> Decimal:
        shares = sum(SHARES[each] for each in SHARES if (each in READS) == (operation in READS))
        requests = self._catalogue.reads if operation in READS else self._catalogue.changes
        return Decimal(requests) * SHARES[operation] / shares

    def _hit_ratio(self, operation: str) -> Decimal:
        """Return the measured ratio, or the expected one of a catalogue with too few reads."""
        if not self._switches.edge_cache or operation not in READS:
            return Decimal(0)
        assumed = self._inputs.assumptions
        urls = self._catalogue.products if operation == "get" else 1
        rate = self._requests[operation] / urls / assumed["month_seconds"]
        expected = expected_hit_ratio(rate, assumed["edge_cache_seconds"])
        measured = self._inputs.hit_ratios
        return expected if measured is None else min(expected, measured[operation])
