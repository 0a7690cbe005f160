"""Shifting traffic and rolling it back, on functions, aliases and alarms of the local AWS."""

import io
import os
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import rollback
import shift_traffic
from local.engine import CREDENTIALS, REGION
from product_tools.aliases import ALIAS, Alias, Aliases, AliasMovedError
from product_tools.functions import function_names
from product_tools.traffic import Shift, alarm_prefixes

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_lambda import LambdaClient

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = function_names("dev")
FIRST, *OTHERS = FUNCTIONS
ALARM = "bbws-product-api-dev-5xx"
SHIFT = ["--environment", "dev"]
ROLLBACK = [sys.executable, str(ROOT / "scripts" / "rollback.py"), "--environment", "dev"]


class Stack:
    """The five functions, each with one published version behind its alias, and their alarms."""

    def __init__(self, functions: "LambdaClient", alarms: "CloudWatchClient") -> None:
        self.functions = functions
        self._alarms = alarms
        self._aliases = Aliases(functions)

    def lay_out(self) -> None:
        for function in FUNCTIONS:
            self.functions.create_function(
                FunctionName=function,
                Runtime="python3.12",
                Role="arn:aws:iam::000000000000:role/none",
                Handler="function.handler",
                Code={"ZipFile": _zipped("1")},
                Publish=True,
            )
            self.functions.create_alias(FunctionName=function, Name=ALIAS, FunctionVersion="1")
        for prefix in alarm_prefixes("dev"):
            self._alarms.put_metric_alarm(
                AlarmName=f"{prefix}5xx",
                Namespace="AWS/Lambda",
                MetricName="Errors",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                ComparisonOperator="GreaterThanThreshold",
                Threshold=1,
                TreatMissingData="ignore",
            )

    def clear(self) -> None:
        for function in FUNCTIONS:
            self.functions.delete_function(FunctionName=function)
        names = [alarm["AlarmName"] for alarm in self._alarms.describe_alarms()["MetricAlarms"]]
        self._alarms.delete_alarms(AlarmNames=names)

    def publish(self, *functions: str) -> None:
        """Publish one more version of some functions, or of all."""
        for function in functions or FUNCTIONS:
            content = os.urandom(8).hex()
            self.functions.update_function_code(
                FunctionName=function, ZipFile=_zipped(content), Publish=True
            )

    def alias(self, function: str = FIRST) -> Alias:
        return self._aliases.read(function)

    def versions(self) -> list[str]:
        """The version that each function answers with, once no other has a share."""
        aliases = [self.alias(function) for function in FUNCTIONS]
        assert [dict(alias.weights) for alias in aliases] == [{}] * len(aliases)
        return [alias.version for alias in aliases]

    def set_alarm(self, state: str) -> None:
        self._alarms.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="a test")  # type: ignore[arg-type]


def _zipped(content: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("function.py", f"VERSION = {content!r}\ndef handler(*_): return VERSION\n")
    return archive.getvalue()


@pytest.fixture
def stack(engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    settings = {**CREDENTIALS, "AWS_ENDPOINT_URL": engine, "AWS_REGION": REGION}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    stack = Stack(
        boto3.client("lambda", region_name=REGION), boto3.client("cloudwatch", region_name=REGION)
    )
    stack.lay_out()
    yield stack
    stack.clear()


def command(text: str, *paths: Path) -> str:
    """A validation that runs a shell command, in which $1, $2, … are paths."""
    return shlex.join(["sh", "-c", text, "sh", *map(str, paths)])


def set_alarm(state: str) -> str:
    """A validation that sets the alarm, as a fault of the new version would."""
    program = (
        "import boto3, os; boto3.client('cloudwatch', region_name=os.environ['AWS_REGION'])"
        f".set_alarm_state(AlarmName={ALARM!r}, StateValue={state!r}, StateReason='a test')"
    )
    return shlex.join([sys.executable, "-c", program])


def shifted_by_another_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "shift_traffic.py", *SHIFT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_shift_at_once_brings_every_function_to_its_newest_version(stack: Stack) -> None:
    stack.publish()

    assert shift_traffic.main(SHIFT) == 0

    assert stack.versions() == ["2"] * 5


def test_each_step_gives_the_new_versions_its_share_and_no_more(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main([*SHIFT, "--steps", "10,50,100", "--wait", "0.1"]) == 0

    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith(FIRST)] == [
        f"{FIRST}: 90% to version 1, 10% to version 2",
        f"{FIRST}: 50% to version 1, 50% to version 2",
        f"{FIRST}: 100% to version 2",
    ]
    assert stack.versions() == ["2"] * 5


def test_validation_runs_after_each_step(stack: Stack, tmp_path: Path) -> None:
    stack.publish()
    runs = tmp_path / "runs"

    validate = command('echo x >> "$1"', runs)
    assert shift_traffic.main([*SHIFT, "--steps", "10,50,100", "--validate", validate]) == 0

    assert runs.read_text() == "x\n" * 3


def test_a_failed_validation_puts_every_function_back(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main([*SHIFT, "--validate", "false"]) == 1

    assert stack.versions() == ["1"] * 5
    said = capsys.readouterr()
    assert "validation failed" in said.err
    assert said.out.count("back from version 2 on 1") == 5


def test_a_validation_that_cannot_be_run_puts_every_function_back(stack: Stack) -> None:
    stack.publish()

    assert shift_traffic.main([*SHIFT, "--validate", "no-such-program"]) == 1

    assert stack.versions() == ["1"] * 5


def test_an_alarm_that_fires_puts_every_function_back(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    arguments = ["--steps", "10,100", "--wait", "60", "--validate", set_alarm("ALARM")]
    assert shift_traffic.main([*SHIFT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5
    assert ALARM in capsys.readouterr().err


def test_nothing_is_shifted_while_an_alarm_fires_already(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    stack.set_alarm("ALARM")

    assert shift_traffic.main(SHIFT) == 1

    assert stack.versions() == ["1"] * 5
    assert "--despite-alarms" in capsys.readouterr().err


def test_a_deployment_that_mends_the_cause_of_an_alarm_can_be_shifted(stack: Stack) -> None:
    stack.publish()
    stack.set_alarm("ALARM")

    assert shift_traffic.main([*SHIFT, "--despite-alarms"]) == 0

    assert stack.versions() == ["2"] * 5


def test_an_alarm_that_recovers_and_fires_again_is_tolerated_no_longer(
    stack: Stack, tmp_path: Path
) -> None:
    stack.publish()
    stack.set_alarm("ALARM")
    script = tmp_path / "validate.sh"
    marker = tmp_path / "recovered"
    script.write_text(
        f"if [ -e {marker} ]; then {set_alarm('ALARM')}; else {set_alarm('OK')}; touch {marker}; fi"
    )

    arguments = ["--despite-alarms", "--steps", "10,50,100", "--validate", f"sh {script}"]
    assert shift_traffic.main([*SHIFT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5


@pytest.mark.usefixtures("stack")
def test_an_environment_without_alarms_is_not_shifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shift_traffic.main(["--environment", "sit"]) == 1

    assert "There is no alarm" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_shift_puts_every_function_back(
    stack: Stack, number: signal.Signals
) -> None:
    stack.publish()

    interrupt = command(f"kill -{number.value} $PPID; exec sleep 60")
    done = shifted_by_another_process("--steps", "10,100", "--validate", interrupt)

    assert done.returncode == 128 + number
    assert "interrupted" in done.stderr
    assert stack.versions() == ["1"] * 5


def test_a_shift_that_waits_can_be_interrupted(stack: Stack) -> None:
    stack.publish()

    interrupt = command("kill -TERM $PPID")
    arguments = ["--steps", "10,100", "--wait", "3000", "--validate", interrupt]
    done = shifted_by_another_process(*arguments)

    assert done.returncode == 128 + signal.SIGTERM
    assert stack.versions() == ["1"] * 5


def killed_at_the_first_step(stack: Stack, steps: str = "10,100") -> None:
    done = shifted_by_another_process("--steps", steps, "--validate", command("kill -KILL $PPID"))
    assert done.returncode == -signal.SIGKILL
    assert stack.alias().shares == {"1": 0.9, "2": 0.1}


def test_a_shift_that_was_killed_is_undone_by_a_roll_back(stack: Stack) -> None:
    stack.publish()
    killed_at_the_first_step(stack)

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["1"] * 5


def test_a_shift_that_was_killed_goes_on_when_run_again(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    killed_at_the_first_step(stack)

    assert shift_traffic.main([*SHIFT, "--steps", "5,10,50,100"]) == 0

    assert stack.versions() == ["2"] * 5
    assert "5% to version 2" not in capsys.readouterr().out.replace("95%", "").replace("50%", "")


def test_a_shift_that_was_killed_half_way_through_a_step_is_undone_as_a_whole(
    stack: Stack,
) -> None:
    stack.publish(FIRST)
    assert shift_traffic.main(SHIFT) == 0
    stack.publish()
    killed_shift_of_two = Aliases(stack.functions)
    shift = Shift(killed_shift_of_two, FUNCTIONS[:2])
    shift.step(10, lambda _seconds: None)

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["2", "1", "1", "1", "1"]


def test_a_killed_shift_must_be_undone_before_a_newer_version_is_shifted_to(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    killed_at_the_first_step(stack)
    stack.publish()

    assert shift_traffic.main(SHIFT) == 1

    assert "rollback.py" in capsys.readouterr().err
    assert rollback.main(SHIFT) == 0
    assert shift_traffic.main(SHIFT) == 0
    assert stack.versions() == ["3"] * 5


def test_weights_of_another_hand_are_left_alone(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    stack.functions.update_alias(
        FunctionName=FIRST,
        Name=ALIAS,
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )

    assert shift_traffic.main(SHIFT) == 1

    assert "weights" in capsys.readouterr().err
    assert stack.alias().shares == {"1": 0.5, "2": 0.5}


def test_a_roll_back_returns_to_the_version_before(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["1"] * 5
    said = capsys.readouterr().out
    for function in FUNCTIONS:
        assert f"{function}: back from version 2 on 1" in said


def test_a_second_roll_back_changes_nothing(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    assert rollback.main(SHIFT) == 0
    capsys.readouterr()

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["2"] * 5
    assert capsys.readouterr().out.count("is on version 2 since shift 2 was undone") == 5


def test_a_roll_back_skips_a_version_that_was_rolled_back_before(stack: Stack) -> None:
    stack.publish()
    assert shift_traffic.main([*SHIFT, "--validate", "false"]) == 1
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    assert stack.versions() == ["3"] * 5

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["1"] * 5


def test_a_roll_back_leaves_functions_that_the_last_shift_did_not_move(stack: Stack) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    stack.publish(FIRST)
    assert shift_traffic.main(SHIFT) == 0
    assert stack.versions() == ["3", "2", "2", "2", "2"]

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["2"] * 5


def test_a_shift_with_nothing_to_move_keeps_the_way_back(stack: Stack) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    assert shift_traffic.main(SHIFT) == 0

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["1"] * 5


def test_a_shift_with_nothing_to_move_is_validated_and_moves_nothing_back(stack: Stack) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0

    assert shift_traffic.main([*SHIFT, "--validate", "true"]) == 0
    assert shift_traffic.main([*SHIFT, "--validate", "false"]) == 1

    assert stack.versions() == ["2"] * 5


def test_a_roll_back_after_a_roll_back_and_a_retry_returns_to_the_same_version(
    stack: Stack,
) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    assert rollback.main(SHIFT) == 0
    assert shift_traffic.main(SHIFT) == 0
    assert stack.versions() == ["2"] * 5

    assert rollback.main(SHIFT) == 0

    assert stack.versions() == ["1"] * 5


def test_a_roll_back_by_hand_ends_a_shift_that_is_under_way(stack: Stack) -> None:
    stack.publish()

    arguments = ["--steps", "10,50,100", "--validate", shlex.join(ROLLBACK)]
    assert shift_traffic.main([*SHIFT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5


@pytest.mark.parametrize(("collisions", "exit_code", "version"), [(2, 0, "1"), (99, 1, "2")])
def test_a_roll_back_prevails_over_a_shift_that_moves_on_at_the_same_time(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    collisions: int,
    exit_code: int,
    version: str,
) -> None:
    stack.publish(FIRST)
    assert shift_traffic.main(SHIFT) == 0
    left = iter(range(collisions))
    move = Aliases.move

    def collide(aliases: Aliases, *arguments: Any) -> Alias:
        if next(left, None) is not None:
            raise AliasMovedError("Something else has just moved it.")
        return move(aliases, *arguments)

    monkeypatch.setattr(Aliases, "move", collide)

    assert rollback.main(SHIFT) == exit_code
    assert stack.alias().version == version


def test_only_an_unfinished_shift_is_undone_when_asked_for(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    assert rollback.main([*SHIFT, "--unfinished-only"]) == 0
    assert stack.versions() == ["2"] * 5
    assert "No shift is unfinished" in capsys.readouterr().out

    stack.publish()
    shifted_by_another_process("--steps", "10,100", "--validate", command("kill -KILL $PPID"))
    assert stack.alias().shares == {"2": 0.9, "3": 0.1}

    assert rollback.main([*SHIFT, "--unfinished-only"]) == 0
    assert stack.versions() == ["2"] * 5


@pytest.mark.usefixtures("stack")
def test_a_roll_back_without_a_recorded_shift_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rollback.main(SHIFT) == 1

    assert "aws lambda update-alias" in capsys.readouterr().err


def test_an_alias_that_was_pointed_elsewhere_by_hand_stays_and_the_others_go_back(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(SHIFT) == 0
    stack.publish()
    stack.functions.update_alias(FunctionName=FIRST, Name=ALIAS, FunctionVersion="3")

    assert rollback.main(SHIFT) == 1

    assert stack.versions() == ["3", "1", "1", "1", "1"]
    assert "pointed it at version 3" in capsys.readouterr().err


@pytest.mark.parametrize("program", [shift_traffic.main, rollback.main])
def test_a_function_that_is_not_deployed_is_told_in_one_sentence(
    stack: Stack, capsys: pytest.CaptureFixture[str], program: object
) -> None:
    stack.functions.delete_alias(FunctionName=OTHERS[-1], Name=ALIAS)

    assert callable(program)
    assert program(SHIFT) == 1

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"{OTHERS[-1]} has no alias live: check the environment")


@pytest.mark.parametrize("program", [shift_traffic.main, rollback.main])
def test_a_missing_region_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: object
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)

    assert callable(program)
    assert program(SHIFT) == 1

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "region" in said[0]
