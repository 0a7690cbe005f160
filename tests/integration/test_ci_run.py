""".ci/run: without CI=true from its caller it installs no system package.

Each test has its own folder with the script, and a PATH with fake programs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = ("java", "node", "npm", "terraform")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with `.ci/run`, and an apt-get that records its arguments."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "dirname", "env", "mkdir", "rm"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    for name in REQUIRED:
        write_program(programs / name, "")
    write_program(programs / "apt-get", f'echo "$@" >> {tmp_path}/installed')
    return tmp_path


def write_program(path: Path, script: str) -> None:
    path.unlink(missing_ok=True)  # never write through a link to a program of this machine
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run_ci(clone: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    paths = {"PATH": str(clone / "programs"), "TF_PLUGIN_DIR": str(clone)}
    return subprocess.run(
        [clone / ".ci" / "run"],
        env={**kept, **paths, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def add_programs(clone: Path, *names: str) -> None:
    for name in names:
        write_program(clone / "programs" / name, "")


@pytest.mark.parametrize(
    ("present", "missing", "packages"),
    [
        ("varnishadm", "Chromium and its driver were", "chromium chromium-driver"),
        ("chromium chromedriver", "Varnish was", "varnish"),
    ],
)
def test_missing_package_without_ci_is_reported(
    clone: Path, present: str, missing: str, packages: str
) -> None:
    add_programs(clone, *present.split())

    run = run_ci(clone)

    advice = f"install with sudo apt-get install {packages} (Debian), then run .ci/run again."
    assert (run.returncode, run.stderr) == (1, f"{missing} not found: {advice}\n")
    assert not (clone / "installed").exists()


def test_missing_packages_in_ci_are_installed(clone: Path) -> None:
    run_ci(clone, CI="true")

    assert (clone / "installed").read_text().splitlines() == [
        "update -qq",
        "install -qq --yes chromium chromium-driver",
        "update -qq",
        "install -qq --yes varnish",
    ]


def test_checks_see_ci_without_ci_in_the_environment(clone: Path) -> None:
    add_programs(clone, "chromium", "chromedriver", "varnishadm")
    (clone / "scripts").mkdir()
    write_program(clone / "scripts" / "bootstrap.sh", f'echo "$CI" > {clone}/ci; exit 1')

    run_ci(clone)

    assert (clone / "ci").read_text() == "true\n"
    assert not (clone / "installed").exists()


@pytest.mark.parametrize("program", REQUIRED)
def test_missing_program_is_reported(clone: Path, program: str) -> None:
    (clone / "programs" / program).unlink()

    run = run_ci(clone, CI="true")

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"{program} was not found: install it, then run .ci/run again.\n"


@pytest.fixture
def whole_clone(clone: Path) -> Path:
    """A folder in which all phases succeed; `make` records its targets."""
    programs = clone / "programs"
    for name in ("grep", "tee", "touch"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    add_programs(clone, "chromium", "chromedriver", "git", "varnishadm")
    write_make(clone)
    for script in ("bootstrap", "setup_dev_environment"):
        (clone / "scripts").mkdir(exist_ok=True)
        write_program(clone / "scripts" / f"{script}.sh", "")
    (clone / ".local" / "reports").mkdir(parents=True)
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return clone


def write_make(clone: Path, **scripts: str) -> None:
    """Write a `make` that runs a script for some of its targets."""
    cases = "".join(f"{target}) {script};;" for target, script in scripts.items())
    report = '<testsuite tests="3" failures="0" errors="0" skipped="1"/>'
    write_program(
        clone / "programs" / "make",
        f"""echo "$1" >> {clone}/targets
        case $1 in {cases} esac
        mkdir -p .local/reports && echo '{report}' > ".local/reports/$1.xml"
        echo "output of $1: Nothing has changed" """,
    )


def test_phases_run_and_outcomes_are_added(whole_clone: Path) -> None:
    run = run_ci(whole_clone, CI="true")

    assert run.returncode == 0, run.stderr
    targets = (whole_clone / "targets").read_text().split()
    names = ["fuzz", "lint", "format", "test", "deploy-local", "deploy-local", "destroy-local"]
    assert sorted(targets) == sorted([*names, "e2e"])
    for target in targets:
        assert f"output of {target}" in run.stdout
        assert re.search(rf"^== make {target}: \d+ s$", run.stdout, re.MULTILINE)
    assert run.stdout.splitlines()[-1].endswith(" passed, 0 failed, 7 skipped")


@pytest.mark.parametrize("target", ["fuzz", "lint", "test", "e2e", "deploy-local", "destroy-local"])
def test_failed_phase_fails_run_with_its_output(whole_clone: Path, target: str) -> None:
    write_make(whole_clone, **{target: f"echo 'the reason of {target}'; exit 2"})

    run = run_ci(whole_clone, CI="true")

    assert run.returncode != 0
    assert f"the reason of {target}" in run.stdout
    assert "== all:" not in run.stdout


def test_changes_of_second_deployment_fail_run(whole_clone: Path) -> None:
    write_make(whole_clone, **{"deploy-local": "echo Deployed; exit 0"})

    run = run_ci(whole_clone, CI="true")

    assert run.returncode != 0
    assert "destroy-local" not in (whole_clone / "targets").read_text()


def test_failed_phase_waits_for_phase_beside_it(whole_clone: Path) -> None:
    ended = whole_clone / "ended"
    # The deployment ends only after the end of the other phase.
    wait = f"until [ -e {ended} ]; do :; done"
    write_make(whole_clone, e2e=f"touch {ended}; exit 2", **{"deploy-local": wait})

    run = run_ci(whole_clone, CI="true")

    assert run.returncode == 2
    assert "output of destroy-local" in run.stdout
