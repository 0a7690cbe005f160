""".ci/run: without CI=true from its caller it installs no system package.

Each test has its own folder with the script, and a PATH with fake programs.
"""

import os
import shutil
import subprocess
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
    for name in ("bash", "dirname", "env", "rm"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    for name in REQUIRED:
        write_program(programs / name, "")
    write_program(programs / "apt-get", f'echo "$@" >> {tmp_path}/installed')
    return tmp_path


def write_program(path: Path, script: str) -> None:
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
