"""The arithmetic of memory sizes and monthly costs, with examples that were computed by hand."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import cost_report
from benchmarks.cost import COST, read_catalogues, read_inputs, read_reasons
from benchmarks.cost_model import (
    ALARM_METRICS,
    API,
    CUSTOM_METRICS,
    EDGE,
    EVENTS,
    FIREWALL,
    FIREWALL_RULES,
    LAMBDA,
    LOGS,
    METRICS,
    PARTS,
    SNAPSTART,
    TABLE,
    TRACES,
    TRANSFER,
    VARIABLES,
    Catalogue,
    Inputs,
    Switches,
    Use,
    best_cut,
    bill,
    dearest,
    expected_hit_ratio,
    total,
)
from benchmarks.cpu_quota import Controller, QuotaError, cpu_group, find_controller
from benchmarks.cpu_quota import quota_microseconds as quota
from benchmarks.measurement import Observation
from benchmarks.prices import Price, read_prices
from benchmarks.size_costs import (
    MEASURED_SIZES,
    SIZES,
    STACKS,
    Sizes,
    Summary,
    decided,
    million_usd,
    mixed_million_usd,
    summary_of,
)
from benchmarks.subjects import OURS
from tests.support.workload import OPERATIONS

TERRAFORM = Path(__file__).parents[2] / "terraform"
PLAN = TERRAFORM.parent / "tests" / "e2e" / "plan_without_events.json"


def price(usd: str, free: str = "0") -> Price:
    return Price(Decimal(usd), "unit", "all", "a list", "2026", Decimal(free))


LAMBDA_PRICES = {"lambda_gb_second": price("0.00001"), "lambda_request": price("0.0000002")}


def summary(billed: int = 10, p95: int = 20, cold: int = 1000, memory: int = 50) -> Summary:
    """Return measurements of a function: durations in ms, memory in MB."""
    numbers = {"cold_ms": cold, "p50_ms": billed, "p95_ms": p95, "billed_ms": billed}
    numbers |= {"billed_cold_ms": cold, "cpu_ms": 1, "peak_memory_mb": memory}
    return Summary(**{name: Decimal(number) for name, number in numbers.items()})


def sizes_with(by_size: Mapping[int, Summary], largest_page: int = 60) -> Sizes:
    """Return measurements in which all operations of both stacks are alike."""
    summaries = {
        (size, stack, operation): by_size[size]
        for size in SIZES
        for stack in STACKS
        for operation in OPERATIONS
    }
    return Sizes("3.12", "x86_64", 1, 1, 2, Decimal("1.5"), Decimal(largest_page), summaries)


def test_price_counts_only_what_is_not_free() -> None:
    assert price("0.005", free="1000").of(Decimal(1500)) == Decimal("2.5")
    assert price("0.005", free="1000").of(Decimal(999)) == 0


def test_million_requests_bill_warm_cold_and_requests() -> None:
    # 99 % of 10 ms and 1 % of 1,000 ms are 19.9 ms; a million of them in 1 GB are 19,900 GB-s.
    assert million_usd(1024, summary(), LAMBDA_PRICES) == Decimal("0.199") + Decimal("0.2")


def test_mixed_million_weighs_operations_by_their_shares() -> None:
    sizes = sizes_with(dict.fromkeys(SIZES, summary()))
    changed = dict(sizes.summaries) | {(1024, OURS, "get"): summary(billed=110)}

    # 60 % of the requests take 99 ms more for each 100: 59,400 GB-s more.
    difference = mixed_million_usd(
        replace(sizes, summaries=changed), 1024, OURS, LAMBDA_PRICES
    ) - mixed_million_usd(sizes, 1024, OURS, LAMBDA_PRICES)
    assert difference == Decimal("0.594")


def test_billed_duration_is_rounded_up_per_request() -> None:
    observed = Observation(0.5001, 0.4, 0.001, [0.0101, 0.0119, 0.012], 52_428_800, {})

    measured = summary_of([observed])

    assert measured.billed_ms == Decimal("11.67")  # 11, 12 and 12
    assert measured.billed_cold_ms == 501
    assert (measured.p50_ms, measured.p95_ms) == (Decimal("11.9"), Decimal(12))
    assert measured.peak_memory_mb == 50


def test_measured_sizes_survive_their_file() -> None:
    sizes = sizes_with(dict.fromkeys(SIZES, summary()))

    assert Sizes.from_json(sizes.to_json()) == sizes


def test_decided_size_is_largest_of_equal_prices() -> None:
    alike = {size: summary(billed=102400 // size, p95=200, cold=0) for size in SIZES}

    assert decided(sizes_with(alike), LAMBDA_PRICES) == 1769


def test_decided_size_is_cheapest_where_prices_differ() -> None:
    same_time = dict.fromkeys(SIZES, summary(billed=100))

    assert decided(sizes_with(same_time), LAMBDA_PRICES) == 128


def test_decided_size_keeps_the_bound_of_p95() -> None:
    slow = {size: summary(billed=100, p95=251 if size < 512 else 250) for size in SIZES}

    assert decided(sizes_with(slow), LAMBDA_PRICES) == 512


def test_decided_size_has_the_memory_of_the_largest_page() -> None:
    same_time = dict.fromkeys(SIZES, summary(billed=100))

    assert decided(sizes_with(same_time, largest_page=128), LAMBDA_PRICES) == 256


def test_no_suitable_size_raises() -> None:
    with pytest.raises(ValueError, match="within 250 ms"):
        decided(sizes_with(dict.fromkeys(SIZES, summary(p95=251))), LAMBDA_PRICES)


def test_decided_size_is_default_in_terraform() -> None:
    sizes = Sizes.from_json(MEASURED_SIZES.read_text(encoding="utf-8"))
    variables = (TERRAFORM / "variables.tf").read_text(encoding="utf-8")

    default = re.search(r'variable "memory_size" \{.*?default += (\d+)', variables, re.DOTALL)

    assert default
    assert int(default[1]) == decided(sizes, read_prices())


@pytest.mark.parametrize(("megabytes", "microseconds"), [(1769, 20_000), (128, 1447), (512, 5789)])
def test_quota_is_share_of_one_cpu(megabytes: int, microseconds: int) -> None:
    assert quota(megabytes) == microseconds


def test_controller_of_version_1_is_found() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
    )
    assert find_controller(mounts) == Controller(Path("/sys/fs/cgroup/cpu,cpuacct"), 1)


def test_controller_of_version_2_is_found(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io\n")

    found = find_controller(f"cgroup2 {tmp_path} cgroup2 rw,relatime 0 0\n")

    assert found == Controller(tmp_path, 2)


def test_controller_without_cpu_is_no_controller(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("io memory\n")

    with pytest.raises(QuotaError, match="run this on Linux"):
        find_controller(f"cgroup2 {tmp_path} cgroup2 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n")


@pytest.mark.parametrize("version", [1, 2])
def test_quota_that_nobody_may_set_is_one_sentence(tmp_path: Path, version: int) -> None:
    controller = Controller(tmp_path / "absent", version)

    with (
        pytest.raises(QuotaError, match=r"^No CPU quota can be set in .*: run this as root\.$"),
        cpu_group(controller, 128),
    ):
        pass


# --- A month ---

CATALOGUE = Catalogue("an example", products=10, reads=900_000, changes=100_000)
"""A million requests: 600,000 get, 300,000 list, 40,000 create, 50,000 update, 10,000 delete."""
ASSUMPTIONS = {
    "month_seconds": 1_000_000,
    "access_log_bytes": 900,
    "platform_log_bytes": 600,
    "stored_log_months": 12,
    "traces_a_second": 0,
    "traced_share": 1,
    "snapshot_versions": 2,
    "event_function_ms": 100,
    "event_bytes": 2048,
    "queue_pollers": 5,
    "poll_seconds": 20,
    "edge_cache_seconds": 60,
    "compressed_from_bytes": 1024,
}


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """Requests with round numbers, at the prices of the page."""
    read = Use(Decimal(1), Decimal(0), 1000, 800, 500)
    page = Use(Decimal(3), Decimal(0), 20_000, 1000, 500)
    plans = Use(Decimal(1), Decimal(0), 4000, 2000, 500)
    write = Use(Decimal(0), Decimal(2), 1000, 800, 500)
    commanded = {f"commanded_{each}": write for each in ("create", "update", "delete")}
    uses = {"get": read, "list": page, "list_of_plans": plans, **commanded}
    uses |= dict.fromkeys(("create", "update", "delete"), write)
    return Inputs(
        prices=read_prices(),
        sizes=sizes_with(dict.fromkeys(SIZES, summary())),
        memory_mb=1024,
        uses=uses,
        uses_with_indexes=uses | {"update": replace(write, write_units=Decimal(5))},
        hit_ratios=None,
        assumptions={name: Decimal(value) for name, value in ASSUMPTIONS.items()},
    )


def rounded(amount: Decimal) -> Decimal:
    return round(amount, 4)


def test_month_bills_each_part(inputs: Inputs) -> None:
    parts = bill(CATALOGUE, Switches(), inputs)

    assert parts[API] == Decimal("3.5")
    # A million times 19.9 ms in 1 GB, and a million invocations.
    assert parts[LAMBDA] == 19_900 * Decimal("0.0000133334") + Decimal("0.2")
    # 10 products are less than a page: 900,000 read units; 100,000 writes of two units; and 20,000
    # bytes for the products in the table and one index.
    assert rounded(parts[TABLE]) == rounded(
        Decimal("0.9") * Decimal("0.1415") + Decimal("0.2") * Decimal("0.705")
    )
    # 700,000 responses of 1,000 bytes, and 300,000 of 2,000 compressed bytes.
    assert parts[TRANSFER] == Decimal("1.3") * Decimal("0.09")
    # 2,000 bytes of log lines for each request: 1.8626 GiB, kept for 12 months.
    assert rounded(parts[LOGS]) == rounded(
        Decimal(2_000_000_000) / 1_073_741_824 * (Decimal("0.57") + 12 * Decimal("0.03"))
    )
    assert parts[METRICS] == Decimal("2.6") + Decimal("10.5") + 3
    assert parts[TRACES] == 5
    assert parts[FIREWALL] == 5 + 4 + Decimal("0.6")
    # Ten snapshots of 1 GB for a million seconds, and 10,000 restores.
    assert parts[SNAPSTART] == Decimal("15.046") + Decimal("1.397998")
    assert total(parts) == sum(parts[part] for part in PARTS)
    assert set(parts) == set(PARTS)


def test_optional_parts_cost_nothing_while_off(inputs: Inputs) -> None:
    off = bill(CATALOGUE, Switches(firewall=False, snapstart=False), inputs)

    assert {part for part in PARTS if off[part] == 0} == {*PARTS[-5:], FIREWALL, SNAPSTART}


def test_change_events_bill_bus_archive_and_publisher(inputs: Inputs) -> None:
    parts = bill(CATALOGUE, Switches(change_events=True), inputs)

    # 100,000 events; 0.1907 GiB; 10,000 GB-s and 100,000 invocations; 4 alarms and a metric.
    expected = Decimal("0.1") + Decimal("0.0191") + Decimal("0.1333") + Decimal("0.02")
    assert rounded(parts[EVENTS]) == rounded(expected + Decimal("0.7"))


def test_edge_cache_moves_reads_and_bytes(inputs: Inputs) -> None:
    measured = replace(inputs, hit_ratios={"get": Decimal("0.5"), "list": Decimal("0.9")})

    parts = bill(CATALOGUE, Switches(edge_cache=True), measured)

    # 300,000 get, 30,000 list and 100,000 writes reach the API.
    assert parts[API] == 430_000 * Decimal("0.0000035")
    assert parts[TRANSFER] == 0
    # A million requests, 1.3 GB, 99,000 paths that are not free; 300,000 and 250,000 requests to
    # the queue; 10,000 GB-s and 100,000 invocations of the function; 3 alarms.
    expected = Decimal("1.2") + Decimal("0.1105") + 495 + Decimal("0.22") + Decimal("0.1533")
    assert rounded(parts[EDGE]) == rounded(expected + Decimal("0.3"))
    assert parts[EVENTS] > 0


def test_edge_cache_of_few_reads_hits_less_than_measured(inputs: Inputs) -> None:
    measured = replace(inputs, hit_ratios={"get": Decimal(1), "list": Decimal(1)})

    parts = bill(CATALOGUE, Switches(edge_cache=True), measured)

    # 0.06 reads a second of each of 10 products, and 0.3 of the list: 3.6 and 18 in a minute.
    reads = 600_000 / Decimal("4.6") + 300_000 / Decimal(19)
    assert rounded(parts[API]) == rounded((reads + 100_000) * Decimal("0.0000035"))


def test_cache_hits_all_reads_of_a_period_but_one() -> None:
    assert expected_hit_ratio(Decimal(1), Decimal(60)) == Decimal(60) / 61
    assert expected_hit_ratio(Decimal(0), Decimal(60)) == 0


def test_product_indexes_bill_more_writes(inputs: Inputs) -> None:
    base = bill(CATALOGUE, Switches(), inputs)
    indexed = bill(CATALOGUE, Switches(product_indexes=True), inputs)

    # 50,000 updates of three more units; storage of 20,000 more bytes.
    assert rounded(indexed[TABLE] - base[TABLE]) == rounded(150_000 * Decimal("0.000000705"))


def test_dearest_part_is_named_with_the_switch_that_cuts_it(inputs: Inputs) -> None:
    assert dearest(bill(CATALOGUE, Switches(), inputs)) == SNAPSTART

    cut = best_cut(CATALOGUE, SNAPSTART, inputs)

    assert cut
    assert (cut.switch, cut.value, cut.part_usd) == ("snapstart", False, Decimal(0))


def test_part_that_no_switch_cuts_has_no_cut(inputs: Inputs) -> None:
    assert best_cut(CATALOGUE, METRICS, inputs) is None


# --- The page ---


@pytest.mark.parametrize("section", ["totals", "switches", "parts", "prices", "assumptions"])
def test_cost_page_is_current(section: str) -> None:
    text = cost_report.sections(read_catalogues(), read_inputs(), read_reasons())[section]

    expected = f"<!-- {section}:begin -->\n\n{text.strip()}\n\n<!-- {section}:end -->"
    assert expected in COST.read_text(encoding="utf-8"), "run make cost"


def test_prices_have_sources_and_dates() -> None:
    for name, each in read_prices().items():
        assert each.usd > 0, name
        assert each.source, name
        assert re.fullmatch(r"2026(-\d\d-\d\d)?", each.published), name


def test_billed_alarms_and_metrics_are_those_of_terraform() -> None:
    addresses = json.loads(PLAN.read_text(encoding="utf-8"))["addresses"]
    cloudwatch = (TERRAFORM / "cloudwatch.tf").read_text(encoding="utf-8")
    found = re.search(r"table_operations = \[(.+?)\]", cloudwatch)
    assert found
    metrics_of = {"table": found[1].count(",") + 1, "api_share": 2}

    alarms = [each for each in addresses if each.startswith("aws_cloudwatch_metric_alarm.")]
    billed = sum(metrics_of.get(re.split(r"[.\[]", each)[1], 1) for each in alarms)

    assert billed == ALARM_METRICS
    filters = [
        each for each in addresses if each.startswith("aws_cloudwatch_log_metric_filter.product[")
    ]
    assert len(filters) + 1 == CUSTOM_METRICS  # all functions share one for unreadable items


def test_billed_firewall_rules_are_those_of_terraform() -> None:
    firewall = (TERRAFORM / "api_gateway.tf").read_text(encoding="utf-8")
    acl = firewall.split('resource "aws_wafv2_web_acl" "api" {')[1].split("\n}\n")[0]

    # The rate rule is one of a list, to which the edge cache adds two.
    rules = re.findall(r'^  (?:rule|dynamic "rule") \{$', acl, re.MULTILINE)
    assert len(rules) == FIREWALL_RULES


def test_assumptions_about_settings_are_those_of_terraform() -> None:
    assumed = read_inputs().assumptions
    prod = (TERRAFORM / "environments" / "prod.tfvars").read_text(encoding="utf-8")
    api = (TERRAFORM / "api_gateway.tf").read_text(encoding="utf-8")
    variables = (TERRAFORM / "variables.tf").read_text(encoding="utf-8")

    days = re.search(r"^log_retention_days += (\d+)$", prod, re.MULTILINE)
    size = re.search(r"^  minimum_compression_size = (\d+)$", api, re.MULTILINE)

    assert days
    assert assumed["stored_log_months"] == int(days[1]) * 12 // 365
    assert size
    assert assumed["compressed_from_bytes"] == int(size[1])
    cached = re.search(r'variable "edge_cache_seconds" \{.*?default += (\d+)', variables, re.DOTALL)
    assert cached
    assert assumed["edge_cache_seconds"] == int(cached[1])


@pytest.mark.parametrize("variable", VARIABLES.values())
def test_named_switch_is_variable_of_terraform(variable: str) -> None:
    variables = (TERRAFORM / "variables.tf").read_text(encoding="utf-8")

    assert f'variable "{variable}" {{' in variables
