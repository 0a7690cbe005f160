"""Setup of a developer's machine: the report of missing programs, and the hook before commits.

Each test has its own small repository, and a PATH with only the programs that it names.
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
    "varnishadm": "",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the script, the hook, and a bootstrap.sh that records its arguments."""
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
    """Return this process's environment without the user's git settings and git's variables."""
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


def test_setup_with_all_programs_is_complete(clone: Path) -> None:
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert (clone / "bootstrapped").read_text() == "dev engine\n"
    assert hooks_path(clone) == "tools/githooks"
    assert run.stdout.splitlines() == [
        "Python environments  ready in .venv and .local/engine",
        "Git hooks            installed: they check staged files before each commit",
        'Java                 openjdk version "17.0.15"',
        "Node                 v20.1.0 with npm 10.1.0",
        "Terraform            1.11.4",
        "Varnish              installed",
        "Everything is installed: run make to list the targets.",
    ]


def test_second_run_changes_nothing(clone: Path) -> None:
    first = set_up(clone, PROGRAMS)
    configuration = (clone / ".git/config").read_text()
    second = set_up(clone, PROGRAMS)
    assert second.returncode == 0
    assert second.stdout == first.stdout
    assert (clone / ".git/config").read_text() == configuration


def test_missing_programs_are_reported_with_installation(clone: Path) -> None:
    run = set_up(clone, {"java": "echo 'Unable to locate a Java Runtime.' >&2; exit 1"})
    assert run.returncode == 0, run.stderr
    for name in ("Java", "Node", "Terraform", "Varnish"):
        assert f"\n{name:<20} missing: " in run.stdout
    for command in (
        "Debian: sudo apt-get install default-jre-headless",
        "macOS:  brew install openjdk",
        "Debian: sudo apt-get install nodejs npm",
        "macOS:  brew install node",
        "Debian: follow developer.hashicorp.com/terraform/install",
        "macOS:  brew install hashicorp/tap/terraform",
        "Debian: sudo apt-get install varnish",
        "macOS:  brew install varnish",
    ):
        assert command in run.stdout
    assert run.stdout.splitlines()[-1].startswith("make run and make test work without")


@pytest.mark.parametrize(
    ("version", "is_supported"),
    [("1.10.5", False), ("0.15.0", False), ("1.11.0", True), ("1.12.0-beta1", True), ("2.0", True)],
)
def test_old_terraform_is_reported(clone: Path, version: str, *, is_supported: bool) -> None:
    run = set_up(clone, PROGRAMS | {"terraform": f"echo Terraform v{version}"})
    assert run.returncode == 0, run.stderr
    assert (f"{version} is too old: make deploy-local" in run.stdout) is not is_supported
    assert ("need 1.11 or newer" in run.stdout) is not is_supported


def test_other_hooks_are_kept(clone: Path) -> None:
    git(clone, "config", "core.hooksPath", "my-hooks")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0
    assert hooks_path(clone) == "my-hooks"
    assert "not installed: core.hooksPath is my-hooks" in run.stdout


def test_folder_without_repository_gets_no_hooks(clone: Path) -> None:
    shutil.rmtree(clone / ".git")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 0, run.stderr
    assert "not installed: this folder is not a git repository" in run.stdout


def test_failed_bootstrap_stops_setup(clone: Path) -> None:
    write_program(clone / "scripts/bootstrap.sh", "echo 'Python 3.12 was not found.' >&2; exit 1")
    run = set_up(clone, PROGRAMS)
    assert run.returncode == 1
    assert run.stderr == "Python 3.12 was not found.\n"
    assert run.stdout == ""


def commit(root: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Commit files with the hook; the `_` in a name becomes a dot."""
    git(root, "config", "core.hooksPath", "tools/githooks")
    for name, text in files.items():
        path = root / name.replace("_", ".")
        path.write_text(text)
        git(root, "add", path.name)
    return git(root, "commit", "--quiet", "--message", "test: a change")


@pytest.fixture
def prepared_clone(clone: Path) -> Path:
    """A clone with the tools of this environment, for the hook."""
    (clone / ".venv").symlink_to(sys.prefix)
    return clone


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("a_py", "x = {  'a':1 }\n", "run make format"),
        ("a_py", "import os\n", "fix the errors that ruff lists"),
        ("a_sh", "#!/bin/sh\necho $1\n", "fix the errors that ShellCheck lists"),
    ],
)
def test_hook_rejects_commit_with_errors(
    prepared_clone: Path, name: str, text: str, remedy: str
) -> None:
    rejected = commit(prepared_clone, **{name: text})
    assert rejected.returncode == 1
    assert f"Nothing was committed: {remedy}, stage the change" in rejected.stderr
    assert git(prepared_clone, "rev-parse", "--verify", "HEAD").returncode != 0


def test_hook_accepts_valid_and_other_files(prepared_clone: Path) -> None:
    assert commit(prepared_clone, a_py="x = 1\n", a_sh='#!/bin/sh\necho "$1"\n').returncode == 0
    (prepared_clone / "unstaged.py").write_text("x = {  }\n")
    assert commit(prepared_clone, a_txt="x = {  'a':1 }\n").returncode == 0


def test_hook_without_environment_names_setup_script(clone: Path) -> None:
    rejected = commit(clone, a_py="x = 1\n")
    assert rejected.returncode == 1
    assert "run scripts/setup_dev_environment.sh" in rejected.stderr
