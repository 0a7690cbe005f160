"""The arithmetic and the machinery of the benchmarks, without measuring anything."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bounds import bounds
from benchmarks.figures import Figure, figure_of, percentile, ratio
from benchmarks.subjects import FLOOR, OURS, PEERS
from tests.memory.run import lasting_growth
from tests.mutants.run import Survivor, killed_share, reason_for
from tests.support.deployed_functions import TUNING
from tests.support.report import table, write_section
from tests.support.runtime_api import FunctionFailed, RuntimeApi
from tests.support.workload import OPERATIONS

LAMBDA_TF = Path(__file__).parents[2] / "terraform" / "lambda.tf"
NEXT = "/2018-06-01/runtime/invocation/next"


def test_a_figure_is_the_median_with_its_quartiles() -> None:
    assert figure_of([5, 1, 4, 2, 3]) == Figure(3, 2, 4)


def test_a_single_round_is_its_own_quartiles() -> None:
    assert figure_of([7]) == Figure(7, 7, 7)


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (75, 3), (95, 4), (100, 4), (1, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == expected


def test_a_ratio_compares_medians() -> None:
    assert ratio(Figure(1, 0, 9), Figure(4, 0, 9)) == 0.25


@pytest.mark.parametrize(
    ("sizes", "growth"),
    [
        ([100, 110, 120, 130, 140, 150, 160, 170, 180], 10),
        ([100, 110, 120, 130, 140, 100, 110, 120, 130], 0),
        ([100, 100, 100, 100, 100, 100, 500, 500, 500], 0),
        ([100, 100, 100, 200, 200, 200, 200, 200, 200], 20),
    ],
)
def test_only_what_is_never_freed_again_grows(sizes: list[int], growth: float) -> None:
    assert lasting_growth(sizes) == growth


def everything(ours: float, others: float) -> dict[tuple[str, str], dict[str, Figure]]:
    """Figures in which we are `ours` everywhere, and the peers and the floor `others`."""
    measured = {(stack, each): others for stack in (*PEERS, FLOOR) for each in OPERATIONS}
    measured |= {(OURS, each): ours for each in OPERATIONS}
    names = ("cold_start", "cpu", "peak_memory")
    return {
        key: dict.fromkeys(names, Figure(value, value, value)) for key, value in measured.items()
    }


def test_every_bound_is_reached_by_half_of_what_the_peers_need() -> None:
    found = bounds(everything(0.4, 1), {(OURS, each): 5_000_000 for each in OPERATIONS})

    assert [bound.meaning for bound in found if not bound.reached] == []


def test_every_bound_is_missed_by_four_times_what_the_peers_need() -> None:
    found = bounds(everything(4, 1), {(OURS, each): 50_000_000 for each in OPERATIONS})

    assert [bound.meaning for bound in found if bound.reached] == []


@pytest.mark.parametrize(("name", "value"), TUNING.items())
def test_functions_are_measured_as_they_are_deployed(name: str, value: str) -> None:
    assert re.search(rf'^ +{name} += "{value}"$', LAMBDA_TF.read_text(), re.MULTILINE)


def test_only_a_section_between_its_markers_is_written(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n")

    write_section(document, "a", r"new \1")

    assert document.read_text() == (
        "before\n<!-- a:begin -->\n\nnew \\1\n\n<!-- a:end -->\nafter\n"
    )


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("nothing")

    with pytest.raises(ValueError, match=r"page\.md has no markers"):
        write_section(document, "a", "new")


def test_a_table_has_its_heads_a_rule_and_its_rows() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as running:
        yield running


def answer_once(address: str, path_after_id: str, payload: bytes) -> threading.Thread:
    """Be a runtime client that asks for one event and reports on it."""

    def work() -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", NEXT)
        taken = connection.getresponse()
        invocation = taken.headers["Lambda-Runtime-Aws-Request-Id"]
        event = taken.read()
        path = f"/2018-06-01/runtime/invocation/{invocation}/{path_after_id}"
        connection.request("POST", path, payload or event)
        connection.getresponse().read()
        connection.close()

    client = threading.Thread(target=work)
    client.start()
    return client


def test_the_runtime_api_hands_an_event_out_and_takes_its_answer(api: RuntimeApi) -> None:
    client = answer_once(api.address, "response", b"")

    invocation = api.invoke(b'{"an": "event"}')

    client.join()
    assert json.loads(invocation.payload) == {"an": "event"}
    assert invocation.answered > invocation.handed_out


def test_a_function_that_reports_an_error_has_failed(api: RuntimeApi) -> None:
    client = answer_once(api.address, "error", b"no such module")

    with pytest.raises(FunctionFailed, match="no such module"):
        api.invoke(b"{}")
    client.join()


def test_what_is_not_survived_is_killed() -> None:
    verdicts = {"a": "killed", "b": "timeout", "c": "survived", "d": "no tests"}

    assert killed_share(verdicts) == 0.5


def test_a_reason_fits_a_place_and_a_change() -> None:
    reasons = [{"place": r"utils\..*", "change": "=> .*UTF-8", "reason": "the same codec"}]

    assert reason_for(Survivor("utils.request", "", 'encode("UTF-8")'), reasons) == "the same codec"
    assert reason_for(Survivor("models.product", "", 'encode("UTF-8")'), reasons) is None
    assert reason_for(Survivor("utils.request", "", "encode(None)"), reasons) is None
