"""Tests of the arithmetic and the tools of benchmarks and long test runs; nothing is measured."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bounds import MEASURES, Bound, bounds, bounds_table
from benchmarks.figures import Figure, figure_of, percentile, ratio, ratio_beyond
from benchmarks.subjects import FLOOR, OURS, PEERS
from tests.memory.run import lasting_growth
from tests.mutants.fastest_first import fastest_first
from tests.mutants.run import Reason, Survivor, killed_share, missing_functions, read_reasons
from tests.support.deployed_functions import TUNING
from tests.support.report import table, write_section
from tests.support.runtime_api import FunctionFailed, RuntimeApi
from tests.support.workload import OPERATIONS

LAMBDA_TF = Path(__file__).parents[2] / "terraform" / "lambda.tf"
NEXT = "/2018-06-01/runtime/invocation/next"


def test_figure_has_median_and_quartiles() -> None:
    assert figure_of([5, 1, 4, 2, 3]) == Figure(3, 2, 4)


def test_figure_of_one_value_repeats_it() -> None:
    assert figure_of([7]) == Figure(7, 7, 7)


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (75, 3), (95, 4), (100, 4), (1, 1)])
def test_percentile_is_measured_value(percent: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == expected


def test_ratio_compares_medians() -> None:
    assert ratio(Figure(9, 1, 9), Figure(9, 4, 9)) == 0.25


@pytest.mark.parametrize(
    ("sizes", "growth"),
    [
        ([100, 110, 120, 130, 140, 150, 160, 170, 180], 10),
        ([100, 110, 120, 130, 140, 100, 110, 120, 130], 0),
        ([100, 100, 100, 100, 100, 100, 500, 500, 500], 0),
        ([100, 100, 100, 200, 200, 200, 200, 200, 200], 20),
    ],
)
def test_growth_ignores_freed_memory(sizes: list[int], growth: float) -> None:
    assert lasting_growth(sizes) == growth


def test_fastest_tests_run_first_and_files_stay_together() -> None:
    durations = {"slow.py::a": 1, "slow.py::b": 9, "fast.py::c": 3, "fast.py::d": 2}
    tests = ["slow.py::b", "fast.py::c", "new.py::e", "slow.py::a", "fast.py::d"]

    expected = ["new.py::e", "fast.py::d", "fast.py::c", "slow.py::a", "slow.py::b"]
    assert fastest_first(tests, durations) == expected


def test_ratio_beyond_floor_leaves_out_the_floor() -> None:
    assert ratio_beyond(Figure(9, 1, 9), Figure(9, 2, 9), Figure(9, 5, 9)) == 0.25


def uniform_figures(ours: float, others: float) -> dict[tuple[str, str], dict[str, Figure]]:
    """Return figures that are all `ours` for this service and all `others` for its peers.

    The floor is 0.3.
    """
    measured = {(stack, each): others for stack in PEERS for each in OPERATIONS}
    measured |= {(OURS, each): ours for each in OPERATIONS} | {(FLOOR, "get"): 0.3}
    names = ("cold_start", "cpu", "peak_memory")
    return {
        key: dict.fromkeys(names, Figure(value, value, value)) for key, value in measured.items()
    }


def test_service_at_40_percent_of_peers_meets_all_bounds() -> None:
    found = bounds(uniform_figures(0.4, 1), {(OURS, each): 5_000_000 for each in OPERATIONS})

    assert [bound.measure for bound in found if not bound.met] == []


def test_service_at_4_times_peers_misses_all_bounds() -> None:
    found = bounds(uniform_figures(4, 1), {(OURS, each): 50_000_000 for each in OPERATIONS})

    assert [bound.measure for bound in found if bound.met] == []


def test_bounds_table_shows_missed_bound_in_bold() -> None:
    shown = bounds_table([Bound("get", MEASURES[0], 0.5, 0.4), Bound("get", MEASURES[1], 0.5, 0.6)])

    assert "| get | 0.40 (at most 0.5) | **0.60** (at most 0.5) |  |" in shown


@pytest.mark.parametrize(("name", "value"), TUNING.items())
def test_measured_functions_have_deployed_tuning(name: str, value: str) -> None:
    assert re.search(rf'^ +{name} += "{value}"$', LAMBDA_TF.read_text(), re.MULTILINE)


def test_write_section_replaces_only_its_section(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n")

    write_section(document, "a", r"new \1")

    assert document.read_text() == (
        "before\n<!-- a:begin -->\n\nnew \\1\n\n<!-- a:end -->\nafter\n"
    )


def test_write_section_without_markers_raises(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("nothing")

    with pytest.raises(ValueError, match=r"page\.md has no markers"):
        write_section(document, "a", "new")


def test_table_has_heads_rule_and_rows() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as running:
        yield running


def respond_once(address: str, path_after_id: str, payload: bytes) -> threading.Thread:
    """Start a runtime client that asks for one event and responds with `payload` or the event."""

    def respond() -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", NEXT)
        response = connection.getresponse()
        invocation = response.headers["Lambda-Runtime-Aws-Request-Id"]
        event = response.read()
        path = f"/2018-06-01/runtime/invocation/{invocation}/{path_after_id}"
        connection.request("POST", path, payload or event)
        connection.getresponse().read()
        connection.close()

    client = threading.Thread(target=respond)
    client.start()
    return client


def test_runtime_api_sends_event_and_returns_response(api: RuntimeApi) -> None:
    client = respond_once(api.address, "response", b"")

    invocation = api.invoke(b'{"an": "event"}')

    client.join()
    assert json.loads(invocation.payload) == {"an": "event"}
    assert invocation.received_at > invocation.sent_at


def test_error_report_of_function_raises(api: RuntimeApi) -> None:
    client = respond_once(api.address, "error", b"no such module")

    with pytest.raises(FunctionFailed, match="no such module"):
        api.invoke(b"{}")
    client.join()


def test_killed_share_counts_time_outs() -> None:
    verdicts = {"a": "killed", "b": "timeout", "c": "survived", "d": "no tests"}

    assert killed_share(verdicts) == 0.5


def test_reason_matches_function_and_change() -> None:
    reason = Reason(("utils.request._body",), "=> .*UTF-8", "the same codec")

    assert reason.explains(Survivor("utils.request._body", "", 'encode("UTF-8")'))
    assert not reason.explains(Survivor("models.product._body", "", 'encode("UTF-8")'))
    assert not reason.explains(Survivor("utils.request._body", "", "encode(None)"))


def test_reasons_name_existing_functions() -> None:
    assert missing_functions(read_reasons()) == []


def test_reason_for_missing_function_is_reported() -> None:
    reason = Reason(("utils.request.parse_event", "utils.request.missing"), "", "")

    assert missing_functions([reason]) == ["utils.request.missing"]
