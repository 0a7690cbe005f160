"""`replay_events.py`: an archive of the engine, and states of EventBridge that it never shows."""

import json
import subprocess
import sys
from signal import SIGINT
from typing import Any

import pytest

import replay_events
from tests.support.prepared_account import PreparedAccount
from tests.support.stub_server import StubServer

BUS, RULE = "bbws-product-events-dev", "bbws-product-audit-dev"
ARGUMENTS = ["audit", "--environment", "dev", "--since", "1h"]


class Bus:
    """The bus of DEV in an account of the test, with a consumer and an archive.

    Args:
        account: the account.
        archive: whether there is an archive.
        rules: the rules of the consumers; each has a queue of its name.
    """

    def __init__(
        self,
        account: PreparedAccount,
        *,
        archive: bool = True,
        rules: tuple[str, ...] = (RULE,),
    ) -> None:
        self._events, self._queues = account.client("events"), account.client("sqs")
        self._urls: dict[str, str] = {}
        arn = self._events.create_event_bus(Name=BUS)["EventBusArn"]
        if archive:
            self._events.create_archive(ArchiveName=BUS, EventSourceArn=arn)
        for rule in rules:
            pattern = json.dumps({"source": ["bbws.product"]})
            self._events.put_rule(Name=rule, EventBusName=BUS, EventPattern=pattern)
            self._urls[rule] = self._queues.create_queue(QueueName=rule)["QueueUrl"]
            target = f"arn:aws:sqs:eu-west-1:{account.files.account}:{rule}"
            self._events.put_targets(
                Rule=rule, EventBusName=BUS, Targets=[{"Id": "queue", "Arn": target}]
            )

    def put(self, change_id: str) -> None:
        """Put an event on the bus."""
        entry = {
            "EventBusName": BUS,
            "Source": "bbws.product",
            "DetailType": "ProductUpdated",
            "Detail": json.dumps({"changeId": change_id}),
        }
        assert self._events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def taken(self, rule: str) -> list[tuple[str, bool]]:
        """Take the events from the queue of a consumer: their ids, and whether they are replays."""
        found: list[tuple[str, bool]] = []
        while messages := self._receive(rule):
            for message in messages:
                body = json.loads(message["Body"])
                found.append((body["detail"]["changeId"], "replay-name" in body))
                self._queues.delete_message(
                    QueueUrl=self._urls[rule], ReceiptHandle=message["ReceiptHandle"]
                )
        return sorted(found)

    def _receive(self, rule: str) -> list[Any]:
        response = self._queues.receive_message(QueueUrl=self._urls[rule], MaxNumberOfMessages=10)
        return list(response.get("Messages", []))


@pytest.fixture
def bus(account: PreparedAccount, monkeypatch: pytest.MonkeyPatch) -> Bus:
    """A bus with an archive and a consumer."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return Bus(account)


def test_archived_events_reach_consumer_again(
    bus: Bus, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for change_id in ("1", "2"):
        bus.put(change_id)
    assert bus.taken(RULE) == [("1", False), ("2", False)]

    assert replay_events.main(ARGUMENTS) == 0

    assert bus.taken(RULE) == [("1", True), ("2", True)]
    # The local AWS replays to all rules, so what AWS gets must do.
    [sent] = [each for each in stub.requests if each.operation == "StartReplay"]
    [only] = json.loads(sent.body)["Destination"]["FilterArns"]
    assert only.endswith(f":rule/{BUS}/{RULE}")
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("The archive has about 2 events since 20")
    assert second.endswith(" (UTC) to audit.")
    assert last.endswith(": all events of the period were replayed.")


def test_dry_run_starts_nothing(bus: Bus, capsys: pytest.CaptureFixture[str]) -> None:
    bus.put("1")
    bus.taken(RULE)

    assert replay_events.main([*ARGUMENTS, "--dry-run"]) == 0

    assert bus.taken(RULE) == []
    assert capsys.readouterr().out.endswith(" (UTC). Nothing was started.\n")


def test_events_before_period_are_left_out(bus: Bus) -> None:
    bus.put("1")
    bus.taken(RULE)

    period = ["--since", "2026-01-01", "--until", "2026-01-31"]
    assert replay_events.main(["audit", "--environment", "dev", *period]) == 0
    assert bus.taken(RULE) == []


def test_progress_is_shown_until_replay_is_complete(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
    sleeps: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = {"ReplayName": "r", "State": "RUNNING", "EventLastReplayedTime": 1769851800}
    stub.respond_next("DescribeReplay", {"ReplayName": "r", "State": "STARTING"}, running)

    assert replay_events.main(ARGUMENTS) == 0

    output = capsys.readouterr().out
    assert "last replayed: no event yet." in output
    assert "last replayed: 2026-01-31 09:30:00." in output
    assert sleeps == [5, 5]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_replay_that_ends_early_is_error(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
    state: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = {"ReplayName": "r", "State": state, "StateReason": "Somebody did it."}
    stub.respond("DescribeReplay", reason)

    assert replay_events.main(ARGUMENTS) == 1
    assert f" is {state} (Somebody did it): start it again;" in capsys.readouterr().err


def test_replay_beyond_time_limit_goes_on(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.respond("DescribeReplay", {"ReplayName": "r", "State": "RUNNING"})

    assert replay_events.main([*ARGUMENTS, "--wait", "0"]) == 1
    assert "is still RUNNING and goes on: look at it with aws events" in capsys.readouterr().err


def test_interrupted_command_leaves_replay_running(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
) -> None:
    hold = stub.hold("DescribeReplay")
    command = [sys.executable, replay_events.__file__, *ARGUMENTS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert hold.arrived.wait(60)
        process.send_signal(SIGINT)
        _, errors = process.communicate(timeout=60)
    hold.released.set()

    assert process.returncode == 130
    assert errors.startswith("Interrupted: a replay that was started goes on.")


def test_too_many_replays_are_error(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
    sleeps: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.respond("StartReplay", {"__type": "LimitExceededException", "message": "10"}, status=400)

    assert replay_events.main(ARGUMENTS) == 1
    assert capsys.readouterr().err == (
        "Too many replays run in this account and region: wait until one has ended.\n"
    )
    assert sleeps  # botocore repeats a call that AWS limits


@pytest.mark.parametrize(
    "operation", ["DescribeArchive", "DescribeRule", "StartReplay", "DescribeReplay"]
)
def test_denied_call_is_one_sentence(
    bus: Bus,  # noqa: ARG001 (it exists)
    stub: StubServer,
    operation: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.deny(operation)

    assert replay_events.main(ARGUMENTS) == 1
    error = capsys.readouterr().err
    assert "AccessDenied" in error
    assert error.count("\n") == 1


def test_missing_archive_says_which_switch_is_off(
    account: PreparedAccount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    Bus(account, archive=False, rules=())

    assert replay_events.main(ARGUMENTS) == 1
    assert capsys.readouterr().err.startswith(
        f"There is no archive {BUS}: enable_change_events is off in dev, or the region"
    )


def test_missing_rule_says_which_switch_is_off(
    account: PreparedAccount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    Bus(account, rules=())

    assert replay_events.main(ARGUMENTS) == 1
    assert capsys.readouterr().err.startswith(
        f"There is no rule {RULE}: enable_audit_log is off in dev, or the region"
    )


def test_rule_of_another_team_gets_its_events(
    account: PreparedAccount,
    monkeypatch: pytest.MonkeyPatch,
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    Bus(account, rules=("prices",))

    assert replay_events.main(["prices", *ARGUMENTS[1:]]) == 0
    [sent] = [each for each in stub.requests if each.operation == "StartReplay"]
    assert json.loads(sent.body)["Destination"]["FilterArns"][0].endswith(f":rule/{BUS}/prices")
    assert json.loads(sent.body)["ReplayName"].startswith("prices-20")

    assert replay_events.main(["price", *ARGUMENTS[1:]]) == 1
    assert f"There is no rule price on the bus {BUS}: check its name" in capsys.readouterr().err


def test_period_that_ends_before_it_begins_is_error(capsys: pytest.CaptureFixture[str]) -> None:
    period = ["--since", "2026-02-02", "--until", "2026-01-01"]
    assert replay_events.main(["audit", "--environment", "dev", *period]) == 1
    assert "The period ends before it begins" in capsys.readouterr().err


def test_missing_region_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert replay_events.main(ARGUMENTS) == 1
    assert "There is no AWS region: set AWS_REGION" in capsys.readouterr().err
