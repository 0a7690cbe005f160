"""Preparing a developer's machine: what is installed, what is said of missing programs, the hook.

Each test has a small repository of its own and a PATH with only the programs it names.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BASICS = ("bash", "dirname", "git", "head", "sed")
JAVA = "echo 'openjdk version \"17.0.15\"' >&2"
PROGRAMS = {
    "java": JAVA,
    "node": "echo v20.1.0",
    "npm": "echo 10.1.0",
    "terraform": "echo Terraform v1.11.4; echo on linux_amd64",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the script, the hook, and a bootstrap that only notes its arguments."""
    root = tmp_path / "clone"
    for name in ("scripts/setup_dev_environment.sh", "tools/githooks/pre-commit"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    write_program(root / "scripts/bootstrap.sh", 'echo "$@" >> bootstrapped')
    git(root, "init", "--quiet")
    return root


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    return subprocess.run(
        ["git", *settings, *arguments],
        cwd=root,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment, without settings of the person or of a git command around it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | variables


def set_up(root: Path, programs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    folder = root.parent / "programs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in BASICS:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    for name, script in programs.items():
        write_program(folder / name, script)
    return subprocess.run(
        [root / "scripts/setup_dev_environment.sh"],
        cwd=root.parent,
        env=clean_environment(PATH=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )


def hooks_path(root: Path) -> str:
    return git(root, "config", "core.hooksPath").stdout.strip()


def test_a_machine_with_everything_is_made_ready(clone: Path) -> None:
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert (clone / "bootstrapped").read_text() == "dev engine\n"
    assert hooks_path(clone) == "tools/githooks"
    assert run.stdout.splitlines() == [
        "Python environments  ready in .venv and .local/engine",
        "Git hooks            installed: staged files are checked before each commit",
        'Java                 openjdk version "17.0.15"',
        "Node                 v20.1.0 with npm 10.1.0",
        "Terraform            1.11.4",
        "All is there: make lists what can be done.",
    ]


def test_a_second_run_says_and_leaves_the_same(clone: Path) -> None:
    first = set_up(clone, PROGRAMS)
    configuration = (clone / ".git/config").read_text()
    second = set_up(clone, PROGRAMS)
    assert second.returncode == 0
    assert second.stdout == first.stdout
    assert (clone / ".git/config").read_text() == configuration


def test_what_is_missing_is_named_with_how_to_get_it_and_does_no_harm(clone: Path) -> None:
    run = set_up(clone, {"java": "echo 'Unable to locate a Java Runtime.' >&2; exit 1"})
    assert run.returncode == 0, run.stderr
    for name in ("Java", "Node", "Terraform"):
        assert f"\n{name:<20} missing: " in run.stdout
    for command in (
        "Debian: sudo apt-get install default-jre-headless",
        "macOS:  brew install openjdk",
        "Debian: sudo apt-get install nodejs npm",
        "macOS:  brew install node",
        "Debian: follow developer.hashicorp.com/terraform/install",
        "macOS:  brew install hashicorp/tap/terraform",
    ):
        assert command in run.stdout
    assert run.stdout.splitlines()[-1].startswith("make run and make test work without")


@pytest.mark.parametrize(
    ("version", "is_new_enough"),
    [("1.10.5", False), ("0.15.0", False), ("1.11.0", True), ("1.12.0-beta1", True), ("2.0", True)],
)
def test_terraform_must_be_new_enough(clone: Path, version: str, *, is_new_enough: bool) -> None:
    run = set_up(clone, PROGRAMS | {"terraform": f"echo Terraform v{version}"})
    assert run.returncode == 0, run.stderr
    assert (f"{version} is too old: 1.11 or newer is needed" in run.stdout) is not is_new_enough


def test_hooks_that_a_person_chose_are_kept(clone: Path) -> None:
    git(clone, "config", "core.hooksPath", "my-hooks")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0
    assert hooks_path(clone) == "my-hooks"
    assert "yours in my-hooks are kept" in run.stdout


def test_a_folder_that_is_no_repository_gets_no_hooks(clone: Path) -> None:
    shutil.rmtree(clone / ".git")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0, run.stderr
    assert "not installed: this folder is no git repository" in run.stdout


def test_a_python_environment_that_cannot_be_made_is_a_failure(clone: Path) -> None:
    write_program(clone / "scripts/bootstrap.sh", "echo 'Python 3.12 was not found.' >&2; exit 1")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 1
    assert run.stderr == "Python 3.12 was not found.\n"
    assert run.stdout == ""


def commit(root: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Commit these files, named by their stem and ending, with the hook installed."""
    git(root, "config", "core.hooksPath", "tools/githooks")
    for name, text in files.items():
        path = root / name.replace("_", ".")
        path.write_text(text)
        git(root, "add", path.name)
    return git(root, "commit", "--quiet", "--message", "test: a change")


@pytest.fixture
def prepared_clone(clone: Path) -> Path:
    """A clone whose hook finds the checks of this environment."""
    (clone / ".venv").symlink_to(sys.prefix)
    return clone


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("a_py", "x = {  'a':1 }\n", "run make format"),
        ("a_py", "import os\n", "put right what ruff names"),
        ("a_sh", "#!/bin/sh\necho $1\n", "put right what ShellCheck names"),
    ],
)
def test_the_hook_stops_a_commit_that_lint_would_refuse(
    prepared_clone: Path, name: str, text: str, remedy: str
) -> None:
    rejected = commit(prepared_clone, **{name: text})
    assert rejected.returncode == 1
    assert f"Nothing was committed: {remedy}, stage the change" in rejected.stderr
    assert git(prepared_clone, "rev-parse", "--verify", "HEAD").returncode != 0


def test_the_hook_lets_good_files_and_other_kinds_of_files_pass(prepared_clone: Path) -> None:
    assert commit(prepared_clone, a_py="x = 1\n", a_sh='#!/bin/sh\necho "$1"\n').returncode == 0
    (prepared_clone / "unstaged.py").write_text("x = {  }\n")
    assert commit(prepared_clone, a_txt="x = {  'a':1 }\n").returncode == 0


def test_the_hook_says_what_to_run_when_its_checks_are_not_installed(clone: Path) -> None:
    rejected = commit(clone, a_py="x = 1\n")
    assert rejected.returncode == 1
    assert "run scripts/setup_dev_environment.sh" in rejected.stderr
