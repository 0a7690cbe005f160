"""What a person reads when an environment cannot be made: one sentence, with the next step."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with nothing installed, whose scripts need one package."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap.sh", tmp_path / "scripts")
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("node_*"))
    (tmp_path / ".python-version").write_text("3.12\n")
    (tmp_path / "tools/requirements/local.txt").write_text(
        f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
    )
    return tmp_path


def bootstrap(clone: Path, environment: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(clone / "scripts/bootstrap.sh"), environment],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **settings},
    )


def assert_refused(outcome: subprocess.CompletedProcess[str], opening: str) -> None:
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(opening)
    assert outcome.stderr.count("\n") == 1


def test_a_wrong_python_is_one_sentence(clone: Path) -> None:
    outcome = bootstrap(clone, "local", PYTHON="/bin/false")

    assert_refused(outcome, "Python 3.12 was not found: install it")


def test_an_unreachable_network_is_one_sentence(clone: Path) -> None:
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}
    outcome = bootstrap(clone, "local", PIP_INDEX_URL="http://127.0.0.1:9/simple", **nowhere)

    assert_refused(
        outcome, "The packages of tools/requirements/local.txt could not be fetched: check"
    )


def test_a_failed_installation_is_tried_again_the_next_time(clone: Path) -> None:
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_INDEX": "1"}
    bootstrap(clone, "local", **settings)

    outcome = bootstrap(clone, "local", **settings)

    assert_refused(outcome, "The packages of tools/requirements/local.txt could not be installed")


def test_npm_missing_is_one_sentence(clone: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cut", "dirname", "env", "flock", "mkdir", "sha256sum", "shasum"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)

    outcome = bootstrap(clone, "dynamodb-local", PATH=str(programs))

    assert_refused(outcome, "npm was not found: install Node.js")


@pytest.mark.parametrize("environment", ["prod", ""])
def test_an_unknown_environment_is_one_sentence(clone: Path, environment: str) -> None:
    assert_refused(bootstrap(clone, environment), "There is no environment named")
