"""What all commands of `scripts/` have in common: no traceback for a missing package or reader.

A command with packages imports `environment_check` first; check_release.py needs no package.
"""

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COMMANDS = sorted(path for path in SCRIPTS.glob("*.py") if os.access(path, os.X_OK))
STANDARD_LIBRARY_ONLY = ["check_release.py"]


def imported_modules(command: Path) -> Iterator[str]:
    """Return the top-level names of the modules that a command imports, in their order."""
    for statement in ast.parse(command.read_text()).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield str(statement.module).partition(".")[0]


def imported_packages(command: Path) -> list[str]:
    """Return the imported modules outside the standard library, in their order."""
    return [name for name in imported_modules(command) if name not in sys.stdlib_module_names]


CHECKED_COMMANDS = [path for path in COMMANDS if "environment_check" in imported_modules(path)]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python interpreter without any package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    return folder / "bin" / "python"


def run(python: Path, command: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, command, *arguments],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", CHECKED_COMMANDS, ids=lambda path: path.stem)
def test_command_without_packages_names_make_setup(bare_python: Path, command: Path) -> None:
    result = run(bare_python, command, "--help")

    assert result.returncode != 0
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert "make setup" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.stem)
def test_environment_check_is_first_import_outside_library(command: Path) -> None:
    packages = imported_packages(command)

    assert packages[:1] == ([] if command.name in STANDARD_LIBRARY_ONLY else ["environment_check"])


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_command_of_standard_library_runs_without_packages(bare_python: Path, name: str) -> None:
    result = run(bare_python, SCRIPTS / name, "--help")

    assert result.returncode == 0
    assert result.stdout.startswith("usage: ")


def test_other_errors_keep_their_traceback(bare_python: Path, tmp_path: Path) -> None:
    (tmp_path / "environment_check.py").symlink_to(SCRIPTS / "environment_check.py")
    command = tmp_path / "command.py"
    command.write_text("import environment_check\nraise ValueError('a defect')\n")

    result = run(bare_python, command)

    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ValueError: a defect\n")


@pytest.mark.parametrize(("line", "exit_code"), [("'a', flush=True", 1), ("'a'", 0)])
def test_reader_that_has_ended_is_no_error(
    bare_python: Path, tmp_path: Path, line: str, exit_code: int
) -> None:
    (tmp_path / "environment_check.py").symlink_to(SCRIPTS / "environment_check.py")
    command = tmp_path / "command.py"
    command.write_text(f"import environment_check\nprint({line})\n")
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as output:
        result = subprocess.run(
            [bare_python, command],
            env={"PATH": os.defpath},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert result.stderr == ""
    assert result.returncode == exit_code
