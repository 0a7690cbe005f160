"""The GitHub workflows: what they may do, what they run, and that all of it exists.

A step's commands are run by bash with programs that only note how they were called; the arguments
are then given to the real programs' own parsers.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_lines import check_bootstrap, check_make, check_script

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
ENVIRONMENTS = ("dev", "sit", "prod")
CALLERS = {name: WORKFLOWS[f"deploy-{name}"]["jobs"]["deploy"]["with"] for name in ENVIRONMENTS}
DEPLOY = WORKFLOWS["deploy"]["jobs"]
JOBS = [
    pytest.param(job, id=f"{workflow}-{name}")
    for workflow, content in sorted(WORKFLOWS.items())
    for name, job in content["jobs"].items()
]
JOBS_WITH_STEPS = [case for case in JOBS if "steps" in case.values[0]]  # type: ignore[operator]
CASES = [pytest.param(content, id=name) for name, content in sorted(WORKFLOWS.items())]


def triggers(workflow: Mapping[Any, Any]) -> Mapping[str, Any]:
    found = workflow[True]  # what YAML 1.1 makes of the word `on`
    assert isinstance(found, dict)
    return found


def used(job: Mapping[str, Any], action: str) -> list[Mapping[str, Any]]:
    """The steps of a job that use an action."""
    return [step for step in job.get("steps", ()) if step.get("uses", "").startswith(f"{action}@")]


def commands(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


# --- What they may do ---


def test_the_workflows_are_those_of_the_design() -> None:
    wanted = {"deploy", "deploy-dev", "deploy-sit", "deploy-prod", "pull-request", "rollback"}

    assert set(WORKFLOWS) == wanted


@pytest.mark.parametrize("workflow", CASES)
def test_a_workflow_has_no_permission_of_its_own(workflow: Mapping[str, Any]) -> None:
    assert workflow["permissions"] == {}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_read_the_repository_and_sign_in_to_aws_only_where_it_does(
    job: Mapping[str, Any],
) -> None:
    signs_in = used(job, "aws-actions/configure-aws-credentials") or "uses" in job
    wanted = {"contents": "read"} | ({"id-token": "write"} if signs_in else {})

    assert job["permissions"] == wanted


@pytest.mark.parametrize("workflow", CASES)
def test_a_workflow_runs_one_at_a_time_for_each_environment(workflow: Mapping[str, Any]) -> None:
    assert workflow["concurrency"]["group"]


def test_a_deployment_is_never_cancelled_by_the_next_one() -> None:
    for name in ("deploy", "deploy-dev", "deploy-sit", "deploy-prod", "rollback"):
        assert WORKFLOWS[name]["concurrency"]["cancel-in-progress"] is False


def test_no_two_workflows_wait_for_each_other() -> None:
    groups = [workflow["concurrency"]["group"] for workflow in WORKFLOWS.values()]

    assert len(set(groups)) == len(groups)


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_a_job_ends_within_the_hour_that_its_credentials_last(job: Mapping[str, Any]) -> None:
    assert 1 <= job["timeout-minutes"] <= 60


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_no_expression_reaches_a_shell(job: Mapping[str, Any]) -> None:
    for command in commands(job):
        assert "${{" not in command


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_every_variable_reaches_a_shell_as_one_word(job: Mapping[str, Any]) -> None:
    for command in commands(job):
        bare = re.sub(r'"[^"]*"', "", command)
        assert re.findall(r"\$\w+|\$\{\w+\}", bare) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_an_action_is_pinned_by_commit_with_its_version_beside(path: Path) -> None:
    for line in path.read_text().splitlines():
        if match := re.search(r"uses: (?!\./)(.*)", line):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", match[1])


def test_an_action_has_the_same_commit_everywhere() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (\S+)", text))

    assert len({action for action, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_a_checkout_leaves_no_credentials_behind(job: Mapping[str, Any]) -> None:
    for step in used(job, "actions/checkout"):
        assert step["with"]["persist-credentials"] is False


def test_the_only_secret_is_the_role_to_sign_in_with() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))

    assert set(re.findall(r"secrets\.(\w+)", text)) == {"AWS_ROLE_ARN"}


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_a_job_that_signs_in_belongs_to_an_environment(job: Mapping[str, Any]) -> None:
    signs_in = bool(used(job, "aws-actions/configure-aws-credentials"))

    assert ("environment" in job) is signs_in


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_no_artifact_holds_a_plan_or_a_state(job: Mapping[str, Any]) -> None:
    kept = [step["with"]["path"] for step in used(job, "actions/upload-artifact")]

    allowed = {
        ".local/reports/",
        "dist/",
        ".local/plan/plan.txt\n.local/plan/plan.sha256\n",
    }
    assert set(kept) <= allowed


# --- When they run ---


def test_dev_is_deployed_by_a_push_to_main_and_by_hand() -> None:
    assert triggers(WORKFLOWS["deploy-dev"]) == {
        "push": {"branches": ["main"]},
        "workflow_dispatch": None,
    }


@pytest.mark.parametrize("name", ["deploy-sit", "deploy-prod", "rollback"])
def test_the_others_run_by_hand_alone(name: str) -> None:
    assert set(triggers(WORKFLOWS[name])) == {"workflow_dispatch"}


def test_a_pull_request_of_a_fork_gets_no_credentials() -> None:
    assert set(triggers(WORKFLOWS["pull-request"])) == {"pull_request"}
    plan = WORKFLOWS["pull-request"]["jobs"]["plan"]
    assert "head.repo.full_name == github.repository" in plan["if"]


def test_a_pull_request_is_linted_tested_deployed_locally_and_planned() -> None:
    jobs = WORKFLOWS["pull-request"]["jobs"].values()
    run = [command for job in jobs for command in commands(job)]

    assert {"make lint", "make test", "make e2e"} <= set(run)
    assert any("plan_deployment.py" in command and "--summary" in command for command in run)


# --- How they deploy ---


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_deployment_goes_to_its_environments_region_and_approvers(environment: str) -> None:
    values = (ROOT / "terraform" / "environments" / f"{environment}.tfvars").read_text()
    given = CALLERS[environment]

    assert f'aws_region           = "{given["aws_region"]}"' in values
    assert given["environment"] == environment
    assert given["approval"] == ("dev" if environment == "dev" else f"{environment}-approval")


def test_a_roll_back_asks_the_approvers_of_its_environment() -> None:
    job = WORKFLOWS["rollback"]["jobs"]["rollback"]

    assert job["environment"] == (
        "${{ inputs.environment == 'dev' && 'dev' || format('{0}-approval', inputs.environment) }}"
    )


def test_a_deployment_plans_before_its_approval_and_applies_that_plan_after_it() -> None:
    assert DEPLOY["plan"]["needs"] == "package"
    assert DEPLOY["deploy"]["needs"] == "plan"
    assert DEPLOY["deploy"]["environment"] == "${{ inputs.approval }}"
    assert not any("plan_deployment" in command for command in commands(DEPLOY["deploy"]))


def test_a_deployment_checks_its_code_before_it_shifts_traffic() -> None:
    programs = ("apply_plan", "check_deployed_code", "shift_traffic", "rollback")
    run = "\n".join(commands(DEPLOY["deploy"]))
    places = [run.index(f"scripts/{program}.py") for program in programs]

    assert places == sorted(places)


def test_a_failed_or_cancelled_deployment_leaves_no_shift_unfinished() -> None:
    last = DEPLOY["deploy"]["steps"][-1]

    assert last["if"] == "${{ failure() || cancelled() }}"
    assert last["run"].endswith("--unfinished-only")


def test_production_needs_the_typed_confirmation_and_a_release_tag_first() -> None:
    jobs = WORKFLOWS["deploy-prod"]["jobs"]

    assert jobs["deploy"]["needs"] == "release"
    assert any("check_release.py" in command for command in commands(jobs["release"]))


def test_production_shifts_step_by_step_and_watches_for_as_long_as_an_alarm_takes() -> None:
    assert CALLERS["prod"]["steps"] == "10,50,100"
    assert CALLERS["prod"]["wait"] >= 300  # the longest period of an alarm in cloudwatch.tf


def test_dev_and_sit_shift_at_once() -> None:
    for environment in ("dev", "sit"):
        assert (CALLERS[environment]["steps"], CALLERS[environment]["wait"]) == ("100", 0)


# --- What they run ---


def readings(expression: str) -> Iterator[str]:
    """The values that an environment variable of a step can take."""
    inputs = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", expression)
    if inputs and inputs[1] == "confirmation":
        yield "DEPLOY-TO-PROD"
    elif inputs:
        yield from sorted({str(given[inputs[1]]) for given in CALLERS.values()})
    else:
        choice = re.fullmatch(r"\$\{\{ inputs\.\w+ && '(\w+)' \|\| '(\w*)' \}\}", expression)
        assert choice, f"this test does not know the values of {expression}"
        yield from choice.groups()


def runs() -> Iterator[Any]:
    """Each step's commands, with each combination of the values that its variables can take."""
    for name, workflow in sorted(WORKFLOWS.items()):
        for job in workflow["jobs"].values():
            for step in job.get("steps", ()):
                if "run" in step:
                    given = {**workflow.get("env", {}), **step.get("env", {})}
                    for values in product(*(tuple(readings(text)) for text in given.values())):
                        settings = dict(zip(given, values, strict=True))
                        yield pytest.param(step["run"], settings, id=f"{name}-{step['name']}")


@pytest.mark.parametrize(("script", "settings"), list(runs()))
def test_every_program_that_a_step_runs_exists_and_takes_its_arguments(
    script: str, settings: Mapping[str, str], tmp_path: Path
) -> None:
    calls = called(script, settings, tmp_path)

    assert calls
    for call in calls:
        check(call)


def called(script: str, settings: Mapping[str, str], folder: Path) -> list[list[str]]:
    """Run a step in a folder of programs that only note how they are called."""
    notes = folder / "calls"
    shell_scripts = [path.relative_to(ROOT) for path in (ROOT / "scripts").glob("*.sh")]
    for name in (Path(".venv/bin/python"), Path("bin/make"), Path("bin/python"), *shell_scripts):
        program = folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/bash\nprintf "%q " "$0" "$@" >> {notes}; echo >> {notes}\n')
        program.chmod(0o755)
    done = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": str(folder / "bin"),
            "GITHUB_STEP_SUMMARY": os.devnull,
            "GITHUB_REF": "refs/tags/v1.2.3",
            **settings,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [shlex.split(line) for line in notes.read_text().splitlines()]


def check(call: list[str]) -> None:
    """Check that a program exists and takes the arguments of a call."""
    program, arguments = Path(call[0]).name, call[1:]
    if program == "make":
        check_make(arguments)
    elif program == "bootstrap.sh":
        check_bootstrap(arguments)
    else:
        assert program == "python"
        options = check_script(arguments[0], arguments[1:])
        if validation := vars(options).get("validate"):
            check(shlex.split(validation))


# --- What keeps them up to date ---


def test_dependabot_looks_at_everything_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    looked_at = {
        (update["package-ecosystem"], folder.strip("/"))
        for update in updates
        for folder in update.get("directories", [update.get("directory")])
    }

    node = {
        ("npm", str(path.parent.relative_to(ROOT))) for path in ROOT.glob("tools/*/package.json")
    }
    terraform = {("terraform", "terraform"), ("terraform", "terraform/table")}
    assert looked_at == {
        ("pip", ""),
        ("pip", "tools/requirements"),
        ("github-actions", ""),
        *node,
        *terraform,
    }
