"""The GitHub workflows: permissions, triggers, the order of steps, and the commands of each step.

zizmor and actionlint (`make lint`) check the rest. Here bash runs the commands of each step with
programs that only record their arguments, which the real programs' parsers then check.
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

from product_tools.functions import ENVIRONMENTS
from tests.support.command_lines import check_bootstrap, check_make, check_script

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
INPUTS = {name: WORKFLOWS[f"deploy-{name}"]["jobs"]["deploy"]["with"] for name in ENVIRONMENTS}
DEPLOY = WORKFLOWS["deploy"]["jobs"]
JOBS = [
    pytest.param(job, id=f"{workflow}-{name}")
    for workflow, content in sorted(WORKFLOWS.items())
    for name, job in content["jobs"].items()
]
JOBS_WITH_STEPS = [case for case in JOBS if "steps" in case.values[0]]  # type: ignore[operator]
CASES = [pytest.param(content, id=name) for name, content in sorted(WORKFLOWS.items())]


def triggers(workflow: Mapping[Any, Any]) -> Mapping[str, Any]:
    found = workflow[True]  # YAML 1.1 reads the key `on` as true
    assert isinstance(found, dict)
    return found


def steps_with(job: Mapping[str, Any], action: str) -> list[Mapping[str, Any]]:
    """Return the steps of a job that use an action."""
    return [step for step in job.get("steps", ()) if step.get("uses", "").startswith(f"{action}@")]


def commands(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


# --- Permissions and secrets ---


def test_workflows_are_complete() -> None:
    assert set(WORKFLOWS) == {
        "deploy",
        "deploy-dev",
        "deploy-sit",
        "deploy-prod",
        "pull-request",
        "rollback",
    }


@pytest.mark.parametrize("job", JOBS)
def test_job_has_only_the_permissions_it_needs(job: Mapping[str, Any]) -> None:
    signs_in = steps_with(job, "aws-actions/configure-aws-credentials") or "uses" in job
    needed = {"contents": "read"} | ({"id-token": "write"} if signs_in else {})

    assert job["permissions"] == needed


@pytest.mark.parametrize("workflow", CASES)
def test_workflow_limits_concurrency(workflow: Mapping[str, Any]) -> None:
    assert workflow["concurrency"]["group"]


def test_next_deployment_does_not_cancel_running_one() -> None:
    for name in ("deploy", "deploy-dev", "deploy-sit", "deploy-prod", "rollback"):
        assert WORKFLOWS[name]["concurrency"]["cancel-in-progress"] is False


def test_workflows_have_different_concurrency_groups() -> None:
    groups = [workflow["concurrency"]["group"] for workflow in WORKFLOWS.values()]

    assert len(set(groups)) == len(groups)


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_job_ends_before_its_credentials_expire(job: Mapping[str, Any]) -> None:
    assert 1 <= job["timeout-minutes"] <= 60


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_shell_variables_are_quoted(job: Mapping[str, Any]) -> None:
    for command in commands(job):
        unquoted = re.sub(r'"[^"]*"', "", command)
        assert re.findall(r"\$\w+|\$\{\w+\}", unquoted) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_pinned_action_has_version_as_comment(path: Path) -> None:
    for line in path.read_text().splitlines():
        if match := re.search(r"uses: (?!\./)(.*)", line):
            assert re.fullmatch(r"\S+ # v\d+\.\d+\.\d+", match[1])


def test_action_has_same_commit_in_all_workflows() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (\S+)", text))

    assert len({action for action, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_checkout_keeps_no_credentials(job: Mapping[str, Any]) -> None:
    for step in steps_with(job, "actions/checkout"):
        assert step["with"]["persist-credentials"] is False


def test_role_arn_is_the_only_secret() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))

    assert set(re.findall(r"secrets\.(\w+)", text)) == {"AWS_ROLE_ARN"}


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_only_jobs_that_sign_in_have_an_environment(job: Mapping[str, Any]) -> None:
    signs_in = bool(steps_with(job, "aws-actions/configure-aws-credentials"))

    assert ("environment" in job) is signs_in


@pytest.mark.parametrize("job", JOBS_WITH_STEPS)
def test_artifacts_contain_no_plan_and_no_state(job: Mapping[str, Any]) -> None:
    uploaded = [step["with"]["path"] for step in steps_with(job, "actions/upload-artifact")]

    allowed = {
        ".local/reports/",
        "dist/",
        ".local/plan/plan.txt\n.local/plan/plan.sha256\n",
    }
    assert set(uploaded) <= allowed


# --- Triggers ---


def test_push_to_main_and_manual_run_deploy_to_dev() -> None:
    starts = triggers(WORKFLOWS["deploy-dev"])

    assert set(starts) == {"push", "workflow_dispatch"}
    assert starts["push"] == {"branches": ["main"]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_manual_run_can_deploy_despite_alarms(environment: str) -> None:
    inputs = triggers(WORKFLOWS[f"deploy-{environment}"])["workflow_dispatch"]["inputs"]

    assert inputs["despite_alarms"]["default"] is False
    assert "inputs.despite_alarms" in INPUTS[environment]["despite_alarms"]


@pytest.mark.parametrize("name", ["deploy-sit", "deploy-prod", "rollback"])
def test_other_workflows_only_run_by_hand(name: str) -> None:
    assert set(triggers(WORKFLOWS[name])) == {"workflow_dispatch"}


def test_pull_request_of_fork_gets_no_credentials() -> None:
    assert set(triggers(WORKFLOWS["pull-request"])) == {"pull_request"}
    plan = WORKFLOWS["pull-request"]["jobs"]["plan"]
    assert "head.repo.full_name == github.repository" in plan["if"]


def test_pull_request_is_linted_tested_deployed_and_planned() -> None:
    jobs = WORKFLOWS["pull-request"]["jobs"].values()
    run = [command for job in jobs for command in commands(job)]

    assert {"make lint", "make test", "make e2e"} <= set(run)
    assert any("plan_deployment.py" in command and "--summary" in command for command in run)


# --- Deployment ---


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_deployment_has_region_and_approvers_of_environment(environment: str) -> None:
    values = (ROOT / "terraform" / "environments" / f"{environment}.tfvars").read_text()
    inputs = INPUTS[environment]

    assert f'aws_region           = "{inputs["aws_region"]}"' in values
    assert inputs["environment"] == environment
    assert inputs["approval"] == ("dev" if environment == "dev" else f"{environment}-approval")


def test_rollback_has_its_own_environment() -> None:
    job = WORKFLOWS["rollback"]["jobs"]["rollback"]

    assert job["environment"] == "${{ inputs.environment }}-rollback"
    assert [options["options"] for options in rollback_inputs().values()] == [list(ENVIRONMENTS)]
    assert commands(job)[-1] == '.venv/bin/python scripts/rollback.py --environment "$ENVIRONMENT"'


def rollback_inputs() -> Mapping[str, Any]:
    inputs: Mapping[str, Any] = triggers(WORKFLOWS["rollback"])["workflow_dispatch"]["inputs"]
    return inputs


def test_deployment_applies_saved_plan_after_approval() -> None:
    assert DEPLOY["plan"]["needs"] == "package"
    assert DEPLOY["deploy"]["needs"] == "plan"
    assert DEPLOY["deploy"]["environment"] == "${{ inputs.approval }}"
    assert not any("plan_deployment" in command for command in commands(DEPLOY["deploy"]))


def test_deployment_checks_code_before_it_shifts_traffic() -> None:
    programs = ("apply_plan", "check_deployed_code", "shift_traffic", "rollback")
    run = "\n".join(commands(DEPLOY["deploy"]))
    places = [run.index(f"scripts/{program}.py") for program in programs]

    assert places == sorted(places)


def test_failed_deployment_rolls_back_unfinished_shift() -> None:
    last = DEPLOY["deploy"]["steps"][-1]

    assert last["if"] == "${{ failure() || cancelled() }}"
    assert last["run"].endswith("--unfinished-only")


def test_prod_deployment_needs_confirmation_and_release_tag() -> None:
    jobs = WORKFLOWS["deploy-prod"]["jobs"]

    assert jobs["deploy"]["needs"] == "release"
    assert any("check_release.py" in command for command in commands(jobs["release"]))


def test_prod_shifts_in_steps_and_waits_for_alarms() -> None:
    assert INPUTS["prod"]["steps"] == "10,50,100"
    assert INPUTS["prod"]["wait"] >= 300  # seconds, the longest alarm period in cloudwatch.tf


def test_dev_and_sit_shift_in_one_step_and_wait_for_alarms() -> None:
    for environment in ("dev", "sit"):
        assert INPUTS[environment]["steps"] == "100"
        # A metric needs up to a minute, and an alarm is evaluated once a minute: Lambda Developer
        # Guide, "Using CloudWatch metrics with Lambda"; CloudWatch User Guide, "Limits".
        assert INPUTS[environment]["wait"] >= 120  # seconds


def test_old_versions_are_deleted_after_complete_shift() -> None:
    names = [step["name"] for step in DEPLOY["deploy"]["steps"]]

    assert names[-3:] == [
        "Shift traffic, and validate",
        "Delete old versions",
        "Undo an unfinished shift",
    ]


def test_every_plan_gets_address_for_alarms() -> None:
    plans = [
        step
        for workflow in WORKFLOWS.values()
        for job in workflow["jobs"].values()
        for step in job.get("steps", ())
        if "plan_deployment.py" in step.get("run", "")
    ]

    assert len(plans) == 2
    for step in plans:
        assert step["env"] == {"TF_VAR_alert_email": "${{ vars.ALERT_EMAIL }}"}


# --- Commands ---


def possible_values(expression: str) -> Iterator[str]:
    """Yield the values that an environment variable of a step can have."""
    name = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", expression)
    if name and name[1] == "confirmation":
        yield "DEPLOY-TO-PROD"
    elif name:
        yield from sorted({str(inputs[name[1]]) for inputs in INPUTS.values()})
    elif expression == "${{ vars.ALERT_EMAIL }}":
        yield from ("", "alerts@example.com")
    else:
        choice = re.fullmatch(r"\$\{\{ inputs\.\w+ && '(\w+)' \|\| '(\w*)' \}\}", expression)
        assert choice, f"add the values of {expression} to this test"
        yield from choice.groups()


def step_cases() -> Iterator[Any]:
    """Yield the commands of each step with each combination of its variables' values."""
    for name, workflow in sorted(WORKFLOWS.items()):
        for job in workflow["jobs"].values():
            for step in job.get("steps", ()):
                if "run" in step:
                    variables = {**workflow.get("env", {}), **step.get("env", {})}
                    options = [tuple(possible_values(text)) for text in variables.values()]
                    for values in product(*options):
                        settings = dict(zip(variables, values, strict=True))
                        yield pytest.param(step["run"], settings, id=f"{name}-{step['name']}")


@pytest.mark.parametrize(("script", "settings"), list(step_cases()))
def test_step_runs_programs_with_valid_arguments(
    script: str, settings: Mapping[str, str], tmp_path: Path
) -> None:
    calls = recorded_calls(script, settings, tmp_path)

    assert calls
    for call in calls:
        check(call)


def recorded_calls(script: str, settings: Mapping[str, str], folder: Path) -> list[list[str]]:
    """Run the commands of a step with programs that only record their arguments."""
    record = folder / "calls"
    shell_scripts = [path.relative_to(ROOT) for path in (ROOT / "scripts").glob("*.sh")]
    programs = [Path("bin") / name for name in ("make", "python", "sudo")]
    for name in (Path(".venv/bin/python"), *programs, *shell_scripts):
        program = folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/bash\nprintf "%q " "$0" "$@" >> {record}; echo >> {record}\n')
        program.chmod(0o755)
    completed = subprocess.run(
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
    assert (completed.returncode, completed.stderr) == (0, "")
    return [shlex.split(line) for line in record.read_text().splitlines()]


def check(call: list[str]) -> None:
    """Check that the program of a call exists and accepts the arguments."""
    program, arguments = Path(call[0]).name, call[1:]
    if program == "make":
        check_make(arguments)
    elif program == "bootstrap.sh":
        check_bootstrap(arguments)
    elif program == "sudo":
        assert arguments[:2] in (["apt-get", "update"], ["apt-get", "install"])
    else:
        assert program == "python"
        options = check_script(arguments[0], arguments[1:])
        if validation := vars(options).get("validate"):
            check(shlex.split(validation))


# --- Updates ---


def test_dependabot_updates_all_pinned_versions() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    updated = {
        (update["package-ecosystem"], folder.strip("/"))
        for update in updates
        for folder in update.get("directories", [update.get("directory")])
    }

    node = {
        ("npm", str(path.parent.relative_to(ROOT))) for path in ROOT.glob("tools/*/package.json")
    }
    terraform = {
        ("terraform", str(path.parent.relative_to(ROOT)))
        for path in ROOT.glob("terraform/**/.terraform.lock.hcl")
    }
    assert updated == {
        ("pip", ""),
        ("pip", "tools/requirements"),
        ("github-actions", ""),
        *node,
        *terraform,
    }
