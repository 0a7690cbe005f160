"""Traffic shifts and rollbacks on functions, aliases and alarms of the engine."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rollback
import shift_traffic
from product_tools.aliases import ALIAS, Alias, Aliases, AliasMovedError
from product_tools.traffic import Shift
from tests.support.function_stack import ALARM, FIRST, FUNCTIONS, OTHERS, FunctionStack
from tests.support.stub_server import stub_server

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ["--environment", "dev"]
ROLLBACK_COMMAND = [sys.executable, str(ROOT / "scripts" / "rollback.py"), "--environment", "dev"]


def shell_command(text: str, *paths: Path) -> str:
    """Return a validation command that runs shell code; $1, $2, … are paths."""
    return shlex.join(["sh", "-c", text, "sh", *map(str, paths)])


def alarm_command(state: str) -> str:
    """Return a validation command that sets the alarm, as errors of the new version do."""
    program = (
        "import boto3, os; boto3.client('cloudwatch', region_name=os.environ['AWS_REGION'])"
        f".set_alarm_state(AlarmName={ALARM!r}, StateValue={state!r}, StateReason='a test')"
    )
    return shlex.join([sys.executable, "-c", program])


def shift_in_other_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "shift_traffic.py", *ENVIRONMENT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_shift_moves_every_function_to_newest_version(stack: FunctionStack) -> None:
    stack.publish()

    assert shift_traffic.main(ENVIRONMENT) == 0

    assert stack.versions() == ["2"] * 5


def test_each_step_sets_its_share_of_requests(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main([*ENVIRONMENT, "--steps", "10,50,100", "--wait", "0.1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(FIRST)] == [
        f"{FIRST}: 90% to version 1, 10% to version 2",
        f"{FIRST}: 50% to version 1, 50% to version 2",
        f"{FIRST}: 100% to version 2",
    ]
    assert stack.versions() == ["2"] * 5


def test_wait_shows_that_and_how_long_it_watches(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main([*ENVIRONMENT, "--wait", "1"]) == 0

    assert "Watching 7 alarms, for up to 0:00:01." in capsys.readouterr().out


def test_shift_without_wait_shows_no_wait(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main(ENVIRONMENT) == 0

    assert "for up to" not in capsys.readouterr().out


def test_validation_runs_after_each_step(stack: FunctionStack, tmp_path: Path) -> None:
    stack.publish()
    runs = tmp_path / "runs"

    validate = shell_command('echo x >> "$1"', runs)
    assert shift_traffic.main([*ENVIRONMENT, "--steps", "10,50,100", "--validate", validate]) == 0

    assert runs.read_text() == "x\n" * 3


def test_failed_validation_rolls_every_function_back(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    assert shift_traffic.main([*ENVIRONMENT, "--validate", "false"]) == 1

    assert stack.versions() == ["1"] * 5
    output = capsys.readouterr()
    assert "validation failed" in output.err
    assert output.out.count("rolled back from version 2 to 1") == 5


def test_missing_validation_command_rolls_back(stack: FunctionStack) -> None:
    stack.publish()

    assert shift_traffic.main([*ENVIRONMENT, "--validate", "no-such-program"]) == 1

    assert stack.versions() == ["1"] * 5


def test_firing_alarm_rolls_every_function_back(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()

    arguments = ["--steps", "10,100", "--wait", "60", "--validate", alarm_command("ALARM")]
    assert shift_traffic.main([*ENVIRONMENT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5
    assert ALARM in capsys.readouterr().err


def test_shift_while_alarm_fires_is_rejected(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    stack.set_alarm("ALARM")

    assert shift_traffic.main(ENVIRONMENT) == 1

    assert stack.versions() == ["1"] * 5
    assert "--despite-alarms" in capsys.readouterr().err


def test_despite_alarms_shifts_while_alarm_fires(stack: FunctionStack) -> None:
    stack.publish()
    stack.set_alarm("ALARM")

    assert shift_traffic.main([*ENVIRONMENT, "--despite-alarms"]) == 0

    assert stack.versions() == ["2"] * 5


def test_tolerated_alarm_that_fires_again_rolls_back(stack: FunctionStack, tmp_path: Path) -> None:
    stack.publish()
    stack.set_alarm("ALARM")
    script = tmp_path / "validate.sh"
    recovered = tmp_path / "recovered"
    script.write_text(
        f"if [ -e {recovered} ]; then {alarm_command('ALARM')};"
        f" else {alarm_command('OK')}; touch {recovered}; fi"
    )

    arguments = ["--despite-alarms", "--steps", "10,50,100", "--validate", f"sh {script}"]
    assert shift_traffic.main([*ENVIRONMENT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5


@pytest.mark.usefixtures("stack")
def test_environment_without_alarms_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert shift_traffic.main(["--environment", "sit"]) == 1

    assert "There is no alarm" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signal_rolls_every_function_back(
    stack: FunctionStack, number: signal.Signals
) -> None:
    stack.publish()

    interrupt = shell_command(f"kill -{number.value} $PPID; exec sleep 60")
    result = shift_in_other_process("--steps", "10,100", "--validate", interrupt)

    assert result.returncode == 128 + number
    assert "interrupted" in result.stderr
    assert stack.versions() == ["1"] * 5


def test_stop_signal_ends_wait_and_rolls_back(stack: FunctionStack) -> None:
    stack.publish()

    interrupt = shell_command("kill -TERM $PPID")
    arguments = ["--steps", "10,100", "--wait", "3000", "--validate", interrupt]
    result = shift_in_other_process(*arguments)

    assert result.returncode == 128 + signal.SIGTERM
    assert stack.versions() == ["1"] * 5


def kill_shift_at_first_step(stack: FunctionStack, steps: str = "10,100") -> None:
    result = shift_in_other_process(
        "--steps", steps, "--validate", shell_command("kill -KILL $PPID")
    )
    assert result.returncode == -signal.SIGKILL
    assert stack.alias().shares == {"1": 0.9, "2": 0.1}


def test_rollback_after_kill_restores_old_versions(stack: FunctionStack) -> None:
    stack.publish()
    kill_shift_at_first_step(stack)

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["1"] * 5


def test_killed_shift_continues_when_run_again(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    kill_shift_at_first_step(stack)

    assert shift_traffic.main([*ENVIRONMENT, "--steps", "5,10,50,100"]) == 0

    assert stack.versions() == ["2"] * 5
    assert "5% to version 2" not in capsys.readouterr().out.replace("95%", "").replace("50%", "")


def test_rollback_after_partial_step_restores_all(
    stack: FunctionStack,
) -> None:
    stack.publish(FIRST)
    assert shift_traffic.main(ENVIRONMENT) == 0
    stack.publish()
    killed_shift = Shift(Aliases(stack.functions), FUNCTIONS[:2])
    killed_shift.step(10, lambda: None)

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["2", "1", "1", "1", "1"]


def test_newer_version_after_kill_needs_rollback_first(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    kill_shift_at_first_step(stack)
    stack.publish()

    assert shift_traffic.main(ENVIRONMENT) == 1

    assert "rollback.py" in capsys.readouterr().err
    assert rollback.main(ENVIRONMENT) == 0
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert stack.versions() == ["3"] * 5


def test_weights_of_unknown_origin_are_rejected(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    stack.functions.update_alias(
        FunctionName=FIRST,
        Name=ALIAS,
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )

    assert shift_traffic.main(ENVIRONMENT) == 1

    assert "weights" in capsys.readouterr().err
    assert stack.alias().shares == {"1": 0.5, "2": 0.5}


def test_rollback_restores_previous_versions(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["1"] * 5
    printed = capsys.readouterr().out
    for function in FUNCTIONS:
        assert f"{function}: rolled back from version 2 to 1" in printed


def test_second_rollback_changes_nothing(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert rollback.main(ENVIRONMENT) == 0
    capsys.readouterr()

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["2"] * 5
    assert capsys.readouterr().out.count("is on version 2; shift 2 is already rolled back") == 5


def test_rollback_skips_version_rolled_back_earlier(stack: FunctionStack) -> None:
    stack.publish()
    assert shift_traffic.main([*ENVIRONMENT, "--validate", "false"]) == 1
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert stack.versions() == ["3"] * 5

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["1"] * 5


def test_rollback_leaves_functions_outside_last_shift(stack: FunctionStack) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    stack.publish(FIRST)
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert stack.versions() == ["3", "2", "2", "2", "2"]

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["2"] * 5


def test_empty_shift_keeps_rollback_possible(stack: FunctionStack) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert shift_traffic.main(ENVIRONMENT) == 0

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["1"] * 5


def test_empty_shift_is_validated_without_rollback(stack: FunctionStack) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0

    assert shift_traffic.main([*ENVIRONMENT, "--validate", "true"]) == 0
    assert shift_traffic.main([*ENVIRONMENT, "--validate", "false"]) == 1

    assert stack.versions() == ["2"] * 5


def test_rollback_after_retried_shift_restores_version(
    stack: FunctionStack,
) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert rollback.main(ENVIRONMENT) == 0
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert stack.versions() == ["2"] * 5

    assert rollback.main(ENVIRONMENT) == 0

    assert stack.versions() == ["1"] * 5


def test_manual_rollback_ends_running_shift(stack: FunctionStack) -> None:
    stack.publish()

    arguments = ["--steps", "10,50,100", "--validate", shlex.join(ROLLBACK_COMMAND)]
    assert shift_traffic.main([*ENVIRONMENT, *arguments]) == 1

    assert stack.versions() == ["1"] * 5


@pytest.mark.parametrize(("collisions", "exit_code", "version"), [(2, 0, "1"), (99, 1, "2")])
def test_rollback_retries_against_running_shift(
    stack: FunctionStack,
    monkeypatch: pytest.MonkeyPatch,
    collisions: int,
    exit_code: int,
    version: str,
) -> None:
    stack.publish(FIRST)
    assert shift_traffic.main(ENVIRONMENT) == 0
    collisions_left = iter(range(collisions))
    move = Aliases.move

    def collide(aliases: Aliases, *arguments: Any) -> Alias:
        if next(collisions_left, None) is not None:
            raise AliasMovedError("Something else has just moved it.")
        return move(aliases, *arguments)

    monkeypatch.setattr(Aliases, "move", collide)

    assert rollback.main(ENVIRONMENT) == exit_code
    assert stack.alias().version == version


def test_unfinished_only_skips_completed_shift(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    assert rollback.main([*ENVIRONMENT, "--unfinished-only"]) == 0
    assert stack.versions() == ["2"] * 5
    assert "No shift is unfinished" in capsys.readouterr().out

    stack.publish()
    shift_in_other_process("--steps", "10,100", "--validate", shell_command("kill -KILL $PPID"))
    assert stack.alias().shares == {"2": 0.9, "3": 0.1}

    assert rollback.main([*ENVIRONMENT, "--unfinished-only"]) == 0
    assert stack.versions() == ["2"] * 5


@pytest.mark.usefixtures("stack")
def test_rollback_without_record_names_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rollback.main(ENVIRONMENT) == 1

    assert "aws lambda update-alias" in capsys.readouterr().err


def test_rollback_skips_alias_moved_by_hand(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.publish()
    assert shift_traffic.main(ENVIRONMENT) == 0
    stack.publish()
    stack.functions.update_alias(FunctionName=FIRST, Name=ALIAS, FunctionVersion="3")

    assert rollback.main(ENVIRONMENT) == 1

    assert stack.versions() == ["3", "1", "1", "1", "1"]
    assert "moved it to version 3" in capsys.readouterr().err


@pytest.mark.parametrize("command", [shift_traffic.main, rollback.main])
def test_missing_function_is_one_sentence(
    stack: FunctionStack, capsys: pytest.CaptureFixture[str], command: object
) -> None:
    stack.functions.delete_alias(FunctionName=OTHERS[-1], Name=ALIAS)

    assert callable(command)
    assert command(ENVIRONMENT) == 1

    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 1
    assert sentences[0].startswith(f"{OTHERS[-1]} has no alias live: check the environment")


def test_failed_version_names_reason_and_next_step(
    stack: FunctionStack,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack.publish()
    failed = {"State": "Failed", "StateReason": "The start of the function failed."}
    with stub_server(engine) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        server.respond("GET */configuration?Qualifier=2", failed)

        assert shift_traffic.main(ENVIRONMENT) == 1

    [sentence] = capsys.readouterr().err.splitlines()
    assert sentence.startswith(
        f"Version 2 of {FIRST} is not ready (The start of the function failed): see"
    )
    assert stack.versions() == ["1"] * 5


@pytest.mark.parametrize("command", [shift_traffic.main, rollback.main])
def test_missing_region_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: object
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)

    assert callable(command)
    assert command(ENVIRONMENT) == 1

    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 1
    assert "region" in sentences[0]
