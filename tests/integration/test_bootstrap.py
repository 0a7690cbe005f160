"""scripts/bootstrap.sh: each error is one sentence with the next step."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository without environments; `local` requires one package, with a wrong hash."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap.sh", tmp_path / "scripts")
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("node_*"))
    (tmp_path / ".python-version").write_text("3.12\n")
    (tmp_path / "tools/requirements/local.txt").write_text(
        f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
    )
    return tmp_path


def bootstrap(clone: Path, *environments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(clone / "scripts/bootstrap.sh"), *environments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **settings},
    )


def assert_fails(run: subprocess.CompletedProcess[str], start_of_message: str) -> None:
    assert run.returncode == 1
    assert run.stderr.startswith(start_of_message)
    assert run.stderr.count("\n") == 1


def test_missing_python_is_reported(clone: Path) -> None:
    run = bootstrap(clone, "local", PYTHON="/bin/false")

    assert_fails(run, "Python 3.12 was not found: install it")


def test_unreachable_network_is_reported(clone: Path) -> None:
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}
    run = bootstrap(clone, "local", PIP_INDEX_URL="http://127.0.0.1:9/simple", **settings)

    assert_fails(run, "The packages of tools/requirements/local.txt could not be fetched: check")


def test_failed_installation_is_repeated_by_next_run(clone: Path) -> None:
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_INDEX": "1"}
    bootstrap(clone, "local", **settings)

    run = bootstrap(clone, "local", **settings)

    assert_fails(run, "The packages of tools/requirements/local.txt could not be installed")


@pytest.fixture
def pip(clone: Path) -> Path:
    """A stand-in for the Python of `.venv`; the file lists its calls."""
    program = clone / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    calls = clone / "calls"
    calls.touch()
    program.write_text(f'#!/bin/bash\necho "$*" >>{calls}\n')
    program.chmod(0o755)
    return calls


def test_environment_of_tests_serves_local_commands(clone: Path, pip: Path) -> None:
    shutil.copy(clone / "tools/requirements/dev.txt", clone / ".venv/.dev.stamp")

    run = bootstrap(clone, "local")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert pip.read_text() == ""


def test_installation_replaces_what_folder_held(clone: Path, pip: Path) -> None:
    (clone / ".venv/.dev.stamp").write_text("of other versions")

    run = bootstrap(clone, "local")

    assert run.returncode == 0
    assert "--requirement tools/requirements/local.txt" in pip.read_text()
    assert [path.name for path in (clone / ".venv").glob(".*.stamp")] == [".local.stamp"]


@pytest.mark.usefixtures("pip")
def test_failed_installation_leaves_no_stamp(clone: Path) -> None:
    (clone / ".venv/.dev.stamp").write_text("of other versions")
    (clone / ".venv/bin/python").write_text("#!/bin/bash\n[[ $* != *install* ]]\n")

    run = bootstrap(clone, "local")

    assert_fails(run, "The packages of tools/requirements/local.txt could not be installed")
    assert list((clone / ".venv").glob(".*.stamp")) == []


def test_missing_npm_is_reported(clone: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cmp", "dirname", "env", "flock", "mkdir", "touch"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)

    run = bootstrap(clone, "dynamodb-local", PATH=str(programs))

    assert_fails(run, "npm was not found: install Node.js")


@pytest.mark.skipif(shutil.which("flock") is None, reason="macOS has no flock")
def test_two_runs_share_no_folder_at_once(clone: Path) -> None:
    (clone / ".local").mkdir()
    programs = clone / "programs"
    programs.mkdir()
    for name in ("bash", "cmp", "dirname", "env", "flock", "mkdir", "touch"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    path = {"PATH": str(programs)}
    with (clone / ".local" / "bootstrap-dynamodb_local.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            [clone / "scripts/bootstrap.sh", "dynamodb-local"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **path},
        )
        assert_fails(bootstrap(clone, "openapi-lint", **path), "npm was not found")
        assert waiting.poll() is None
    _, message = waiting.communicate(timeout=60)
    assert message.startswith("npm was not found")


def test_unwritable_folder_is_reported(clone: Path) -> None:
    (clone / ".local").touch()

    run = bootstrap(clone, "local")

    assert_fails(run, f"The folder {clone}/.local cannot be written: make it writable for you")


@pytest.mark.parametrize("environment", ["prod", ""])
def test_unknown_environment_is_reported(clone: Path, environment: str) -> None:
    assert_fails(bootstrap(clone, environment), "There is no environment named")


def test_missing_environment_name_is_reported(clone: Path) -> None:
    assert_fails(bootstrap(clone), "Name an environment to create: local, ")
