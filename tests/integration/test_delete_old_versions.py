"""Deletion of old versions: on functions of the engine, and with errors of Lambda."""

from collections.abc import Iterator

import pytest

import delete_old_versions
import rollback
import shift_traffic
from product_tools.functions import event_function_names
from tests.support.function_stack import FIRST, FUNCTIONS, OTHERS, FunctionStack
from tests.support.stub_server import StubServer, stub_server

ENVIRONMENT = ["--environment", "dev"]
DELETION = f"DELETE */{FIRST}?Qualifier=1"
THROTTLED = ("TooManyRequestsException", 429)
CONFLICT = ("ResourceConflictException", 409)
GONE = ("ResourceNotFoundException", 404)
DENIED = ("AccessDeniedException", 403)


EVENT_FUNCTION = event_function_names("dev")[0]


@pytest.fixture
def event_function(stack: FunctionStack) -> Iterator[str]:
    """An event function beside those of the API."""
    stack.create_function(EVENT_FUNCTION)
    yield EVENT_FUNCTION
    stack.functions.delete_function(FunctionName=EVENT_FUNCTION)


def publish_and_shift(stack: FunctionStack, times: int) -> None:
    for _ in range(times):
        stack.publish()
        assert shift_traffic.main(ENVIRONMENT) == 0


def test_versions_before_newest_and_previous_are_deleted(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_shift(stack, 4)
    capsys.readouterr()

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert [stack.published(function) for function in FUNCTIONS] == [["4", "5"]] * 5
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(FIRST)] == [
        f"{FIRST}: version 1 is deleted.",
        f"{FIRST}: version 2 is deleted.",
        f"{FIRST}: version 3 is deleted.",
        f"{FIRST}: keeps version 4, 5.",
    ]


def test_five_newest_and_previous_stay_by_default(stack: FunctionStack) -> None:
    for _ in range(6):
        stack.publish(FIRST)
    assert shift_traffic.main(ENVIRONMENT) == 0

    assert delete_old_versions.main(ENVIRONMENT) == 0

    assert stack.published() == ["1", "3", "4", "5", "6", "7"]


def test_roll_back_works_after_deletion(stack: FunctionStack) -> None:
    publish_and_shift(stack, 3)
    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["3"] * 5


def test_versions_of_rolled_back_shift_stay(stack: FunctionStack) -> None:
    publish_and_shift(stack, 2)
    assert rollback.main(ENVIRONMENT) == 0
    stack.publish()

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert stack.published() == ["2", "3", "4"]


def test_versions_behind_any_alias_stay(stack: FunctionStack) -> None:
    publish_and_shift(stack, 4)
    stack.functions.create_alias(
        FunctionName=FIRST,
        Name="other",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert stack.published() == ["1", "2", "4", "5"]
    assert stack.published(OTHERS[0]) == ["4", "5"]


def test_versions_of_switched_off_function_are_not_sought(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_shift(stack, 1)
    capsys.readouterr()

    assert delete_old_versions.main(ENVIRONMENT) == 0

    assert EVENT_FUNCTION not in capsys.readouterr().out


def test_version_of_event_function_stays_behind_alias(
    stack: FunctionStack, event_function: str
) -> None:
    """An operator has pointed the alias to an earlier version, in an emergency."""
    for _ in range(4):
        stack.publish(event_function)
    stack.functions.update_alias(FunctionName=event_function, Name="live", FunctionVersion="2")

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert stack.published(event_function) == ["2", "5"]


def test_unfinished_shift_stops_every_deletion(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_shift(stack, 2)
    stack.start_shift(OTHERS[-1])

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 1

    assert stack.published() == ["1", "2", "3"]
    assert f"A shift of {OTHERS[-1]} is not finished" in capsys.readouterr().err


def test_dry_run_prints_and_deletes_nothing(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_shift(stack, 2)
    capsys.readouterr()

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1", "--dry-run"]) == 0

    assert stack.published() == ["1", "2", "3"]
    assert capsys.readouterr().out.count("version 1 would be deleted.") == 5


@pytest.fixture
def lambda_api(
    stack: FunctionStack, engine: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StubServer]:
    """Lambda after two shifts, with other responses on demand for the deletion."""
    publish_and_shift(stack, 2)
    with stub_server(engine) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield server


@pytest.mark.usefixtures("sleeps")
def test_throttled_deletion_is_retried(stack: FunctionStack, lambda_api: StubServer) -> None:
    lambda_api.fail_next(DELETION, *THROTTLED, times=2)

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0

    assert lambda_api.count(DELETION) == 3
    assert stack.published() == ["2", "3"]


@pytest.mark.parametrize(
    ("error", "times", "reason"),
    [
        (THROTTLED, 7, "since Lambda throttles: try again in a minute."),
        (CONFLICT, 1, "since an alias points to it now or Lambda is changing it: try again later."),
    ],
    ids=["throttled", "conflict"],
)
@pytest.mark.usefixtures("sleeps", "stack")
def test_version_that_lambda_keeps_is_named(
    lambda_api: StubServer,
    capsys: pytest.CaptureFixture[str],
    error: tuple[str, int],
    times: int,
    reason: str,
) -> None:
    lambda_api.fail_next(DELETION, *error, times=times)
    capsys.readouterr()

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 1

    output = capsys.readouterr()
    assert output.err == f"{FIRST}: version 1 stays, {reason}\n"
    assert output.out.count("version 1 is deleted.") == len(OTHERS)


def test_version_that_is_already_gone_is_no_error(lambda_api: StubServer) -> None:
    lambda_api.fail_next(DELETION, *GONE)

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 0


@pytest.mark.parametrize("operation", ["GET */versions*", "GET */aliases", DELETION])
def test_other_error_of_lambda_is_one_sentence(
    lambda_api: StubServer, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    lambda_api.fail_next(operation, *DENIED)
    capsys.readouterr()

    assert delete_old_versions.main([*ENVIRONMENT, "--newest", "1"]) == 1

    [sentence] = capsys.readouterr().err.splitlines()
    assert sentence.startswith("The call to AWS failed (An error occurred (AccessDenied")


def test_newest_version_can_never_be_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        delete_old_versions.main([*ENVIRONMENT, "--newest", "0"])

    assert ended.value.code == 2
    assert "0 must be 1 or more" in capsys.readouterr().err


def test_missing_region_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert delete_old_versions.main(ENVIRONMENT) == 1

    assert "region" in capsys.readouterr().err
