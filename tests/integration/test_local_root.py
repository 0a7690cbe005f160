"""Terraform on a root module with a local state, with a stand-in for Terraform.

The e2e tests do the same with Terraform itself.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from product_tools.terraform import (
    Change,
    EnvironmentFiles,
    LocalRoot,
    TerraformError,
    find_terraform,
)

VERSION = '{"terraform_version": "1.11.4"}'
# Prints the file with the name of the command, then fails if a file `fails` names the command.
PROGRAM = """#!/bin/bash
echo "$*" >> {folder}/calls
env > {folder}/environment
cat {folder}/output/"$1" 2>/dev/null
if grep -q -s -x "$1" {folder}/fails; then echo "a reason" >&2; exit 1; fi
touch {folder}/ended
"""


class StandIn:
    """A program named terraform, with the given output for each command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "output").mkdir()
        program = folder / "bin" / "terraform"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(0o755)
        self.prints("version", VERSION)

    def prints(self, command: str, *lines: str | dict[str, Any]) -> None:
        """Set the output of a command; dictionaries are written as JSON."""
        text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (self.folder / "output" / command).write_text("\n".join(text) + "\n")

    def fails(self, command: str) -> None:
        """Let a command fail after its output."""
        (self.folder / "fails").write_text(f"{command}\n")

    @property
    def calls(self) -> list[str]:
        """The arguments of each run, without the checks of the version."""
        calls = (self.folder / "calls").read_text().splitlines()
        return [call for call in calls if not call.startswith("version ")]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the last run."""
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    return StandIn(tmp_path)


@pytest.fixture
def source(stand_in: StandIn) -> Path:
    """A root module with a template, beside the stand-in."""
    source = stand_in.folder / "source"
    (source / "templates").mkdir(parents=True)
    (source / "main.tf").write_text("# resources\n")
    (source / "templates" / "preflight.vtl").write_text("{}\n")
    (source / ".terraform.lock.hcl").write_text("# provider 1\n")
    return source


@pytest.fixture
def root(source: Path) -> LocalRoot:
    return new_root(source)


def new_root(source: Path, **variables: object) -> LocalRoot:
    return LocalRoot(source, source.parent / "root", variables, {"AWS_ENDPOINT_URL": "http://x"})


def planned(actions: list[str], **states: Any) -> dict[str, Any]:
    change = {"actions": actions, "before": None, "after": None, **states}
    return {"address": "sns.topic", "type": "sns", "mode": "managed", "change": change}


def applied(address: str, action: str) -> dict[str, Any]:
    hook = {"action": action, "resource": {"addr": address}}
    return {"type": "apply_complete", "hook": hook}


def test_missing_program_names_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TerraformError, match=r"^Terraform was not found: install Terraform 1\.11"):
        find_terraform()


@pytest.mark.parametrize("version", ["0.15.5", "1.9.8", "1.10.5", "1.10.0-rc1"])
def test_old_version_is_rejected(stand_in: StandIn, version: str) -> None:
    stand_in.prints("version", {"terraform_version": version})

    with pytest.raises(TerraformError, match=f"^Terraform {version} is too old: install"):
        find_terraform()


@pytest.mark.parametrize("output", ["something else", '{"version": "1.11.4"}'])
def test_program_without_version_is_rejected(stand_in: StandIn, output: str) -> None:
    stand_in.prints("version", output)

    with pytest.raises(TerraformError, match="does not report its version: install"):
        find_terraform()


def test_folder_is_private_copy_of_source(root: LocalRoot) -> None:
    assert root.folder.stat().st_mode & 0o777 == 0o700
    assert (root.folder / "main.tf").read_text() == "# resources\n"
    assert (root.folder / "templates" / "preflight.vtl").exists()
    assert 'backend "local"' in (root.folder / "backend_override.tf").read_text()


def test_values_are_written_after_values_of_var_file(source: Path) -> None:
    (source / "dev.tfvars").write_text("timeout = 10\n")
    root = LocalRoot(
        source, source.parent / "root", {"timeout": 5}, {}, EnvironmentFiles(source / "dev.tfvars")
    )

    values = sorted(root.folder.glob("*.auto.tfvars*"))
    assert [path.read_text() for path in values] == ["timeout = 10\n", '{"timeout": 5}']
    assert values[1].stat().st_mode & 0o777 == 0o600


def test_deleted_file_of_source_is_deleted_in_copy(root: LocalRoot, source: Path) -> None:
    (source / "main.tf").rename(source / "renamed.tf")

    new_root(source)

    assert not (root.folder / "main.tf").exists()
    assert (root.folder / "renamed.tf").exists()


def test_init_runs_once_for_each_lock_file(
    stand_in: StandIn, root: LocalRoot, source: Path
) -> None:
    root.init()
    root.init()
    assert stand_in.calls == ["init -input=false -lockfile=readonly -no-color"]

    (source / ".terraform.lock.hcl").write_text("# provider 2\n")
    new_root(source).init()
    assert len(stand_in.calls) == 2


def test_root_with_backend_file_keeps_its_backend(stand_in: StandIn, source: Path) -> None:
    files = EnvironmentFiles(backend=source / "dev.s3.tfbackend")
    root = LocalRoot(source, source.parent / "root", {}, {}, files)
    root.init()
    root.init()

    assert not (root.folder / "backend_override.tf").exists()
    [call] = stand_in.calls
    assert call == (
        "init -input=false -lockfile=readonly -no-color -migrate-state -force-copy"
        f" -backend-config={files.backend} -backend-config=use_path_style=true"
        " -backend-config=max_retries=3"
    )


def test_init_uses_mirror(
    stand_in: StandIn, root: LocalRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(stand_in.folder))
    root.init()

    assert stand_in.calls[0].endswith(f" -plugin-dir={stand_in.folder}")


def test_init_rejects_mirror_that_is_not_a_folder(
    root: LocalRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", "/nowhere")

    with pytest.raises(TerraformError, match=r"^TF_PLUGIN_DIR is /nowhere, which is not a folder"):
        root.init()


def test_failed_init_names_log(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.fails("init")

    with pytest.raises(TerraformError, match=r"could not be installed: .*terraform\.log\)\.$"):
        root.init()
    assert "a reason" in (root.folder / "terraform.log").read_text()


def planned_event(action: str) -> dict[str, Any]:
    resource = {"addr": "sns.topic", "resource_type": "sns"}
    return {"type": "planned_change", "change": {"resource": resource, "action": action}}


def test_plan_returns_changes(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.prints("plan", "a warning without JSON", "[]", planned_event("update"))
    resources = [
        planned(["update"], before={"ttl": 1, "name": "x"}, after={"ttl": 2, "name": "x"}),
        planned(["no-op"]),
        planned(["create"], after={"name": "x"}),
        {**planned(["read"]), "mode": "data"},
    ]
    stand_in.prints("show", {"resource_changes": resources})

    assert root.plan() == [
        Change("sns.topic", "sns", ("update",), frozenset({"ttl"})),
        Change("sns.topic", "sns", ("create",)),
    ]
    plan_file = root.folder / "planned.tfplan"
    assert stand_in.calls == [
        f"plan -input=false -json -out={plan_file}",
        f"show -json {plan_file}",
    ]


def test_plan_of_only_creations_is_not_shown(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.prints("plan", {"@level": "info"}, planned_event("read"), planned_event("create"))

    assert root.plan() == [Change("sns.topic", "sns", ("create",))]
    assert stand_in.calls == [f"plan -input=false -json -out={root.folder / 'planned.tfplan'}"]


@pytest.mark.parametrize("action", ["update", "replace", "delete", "move"])
def test_plan_of_other_changes_is_shown(stand_in: StandIn, root: LocalRoot, action: str) -> None:
    stand_in.prints("plan", planned_event("create"), planned_event(action))
    stand_in.prints("show", {"resource_changes": []})

    assert root.plan() == []
    assert len(stand_in.calls) == 2


def test_failed_plan_reports_first_error(stand_in: StandIn, root: LocalRoot) -> None:
    diagnostic = {"summary": "Invalid value", "detail": "Use\n another one."}
    stand_in.prints(
        "plan",
        {"@level": "error", "diagnostic": diagnostic},
        {"@level": "error", "@message": "A second error"},
    )
    stand_in.fails("plan")

    with pytest.raises(TerraformError, match=r"^Terraform stopped: Invalid value: Use another one"):
        root.plan()


def test_failed_plan_without_error_names_log(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.fails("plan")

    with pytest.raises(TerraformError, match=r"it gave no reason \(.*terraform\.log\)"):
        root.plan()


def test_unreadable_plan_names_log(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.prints("plan", planned_event("update"))
    stand_in.fails("show")

    with pytest.raises(TerraformError, match=r"its own plan: see the end of .*terraform\.log\.$"):
        root.plan()


def test_apply_reports_finished_resources(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.prints("apply", applied("data.table", "read"), applied("sns.topic", "create"))
    addresses: list[str] = []

    root.apply(addresses.append)

    assert addresses == ["sns.topic"]


def test_applied_files_are_recognised(root: LocalRoot, source: Path) -> None:
    assert not root.has_applied_these_files()
    root.apply(lambda _: None)
    assert root.has_applied_these_files()

    assert not new_root(source, timeout=5).has_applied_these_files()


def test_interrupt_waits_for_end_of_terraform(stand_in: StandIn, root: LocalRoot) -> None:
    more_than_a_pipe_holds = ["x" * 1000] * 200
    stand_in.prints("apply", applied("sns.topic", "create"), *more_than_a_pipe_holds)

    def interrupt(_address: str) -> None:
        (stand_in.folder / "ended").unlink()  # of an earlier run
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        root.apply(interrupt)
    assert (stand_in.folder / "ended").exists()


def test_outputs_include_sensitive_values(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.prints("output", {"api_key": {"value": "secret", "sensitive": True}})

    assert root.outputs() == {"api_key": "secret"}


def test_unreadable_state_names_log(stand_in: StandIn, root: LocalRoot) -> None:
    stand_in.fails("output")

    with pytest.raises(TerraformError, match=r"its state: see the end of .*terraform\.log\.$"):
        root.outputs()


def test_settings_of_user_do_not_reach_provider(
    stand_in: StandIn, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_VAR_timeout", "TF_WORKSPACE"):
        monkeypatch.setenv(name, "of the user")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("NO_PROXY", "example.com")
    new_root(source).init()

    assert "of the user" not in stand_in.environment.values()
    assert "TF_CLI_CONFIG_FILE" not in stand_in.environment
    assert stand_in.environment["AWS_ENDPOINT_URL"] == "http://x"
    assert stand_in.environment["AWS_CONFIG_FILE"] == "/dev/null"
    assert stand_in.environment["NO_PROXY"] == "example.com,127.0.0.1"
