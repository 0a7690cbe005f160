"""Runs the commands and the programs of docs/clients.md against the local server."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_process import KEY, LocalProcess, local_server
from tests.support.optional_tools import installed

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
OUTPUT = re.compile(
    r"(?P<count>\d+) products\n"
    r"created (?P<id>PROD-\d+) for 19\.99 ZAR\n"
    r"412: (?P=id) has another version than If-Match names; .*\n"
    r"now 29\.99, version 3\n"
    r"404: There is no active product (?P=id)\.\n"
)


def section(heading: str) -> str:
    return GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(heading: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)


def commands(heading: str) -> list[str]:
    return [line for block in blocks(heading, "sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProcess]:
    with local_server(tmp_path_factory.mktemp("clients") / "products") as running:
        yield running


def run(commands: list[str], folder: Path, server: LocalProcess, programs: Path) -> str:
    """Run commands in a folder, and return the output of the last one."""
    output = ""
    for command in commands:
        run = subprocess.run(
            ["bash", "-c", command.replace("http://127.0.0.1:8000", server.address)],
            cwd=folder,
            env={**os.environ, "API_KEY": KEY, "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
        output = run.stdout
    return output


@pytest.fixture
def typescript(tmp_path: Path) -> Path:
    """A folder after the guide's first command for TypeScript, with its program."""
    packages = installed("typescript-client") / "node_modules"
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "client.mts").write_text(blocks("TypeScript", "ts")[0])
    return tmp_path


def use(path: Path, server: LocalProcess) -> None:
    """Let a program use the test's server."""
    path.write_text(path.read_text().replace("http://127.0.0.1:8000", server.address))


def test_typescript_program_reads_and_writes(typescript: Path, server: LocalProcess) -> None:
    use(typescript / "client.mts", server)
    output = run(commands("TypeScript")[1:], typescript, server, typescript)

    assert OUTPUT.fullmatch(output)


def test_typescript_types_reject_wrong_values(typescript: Path, server: LocalProcess) -> None:
    generate, compile_, _ = commands("TypeScript")[1:]
    program = typescript / "client.mts"
    program.write_text(program.read_text().replace('period: "monthly"', 'period: "weekly"'))
    run([generate], typescript, server, typescript)

    with pytest.raises(AssertionError, match='"weekly"'):
        run([compile_], typescript, server, typescript)


def test_python_program_reads_and_writes(tmp_path: Path, server: LocalProcess) -> None:
    programs = installed("clients") / "bin"
    program = tmp_path / "client.py"
    program.write_text(blocks("Python", "python")[0])
    use(program, server)

    output = run(commands("Python")[1:], tmp_path, server, programs)

    assert OUTPUT.fullmatch(output)


def test_output_of_guide_is_that_of_the_programs() -> None:
    assert OUTPUT.fullmatch(blocks("The output", "text")[0])


def test_guide_installs_tested_versions() -> None:
    package = json.loads((ROOT / "tools/typescript_client/package.json").read_text())
    npm, pip = commands("TypeScript")[0], commands("Python")[0]

    assert npm.startswith("npm install ")
    named = dict(each.rsplit("@", 1) for each in npm.split()[2:])
    assert named == package["dependencies"]
    assert pip == f"pip install {pip.split()[-1]}"
    assert f'"{pip.split()[-1]}",' in (ROOT / "pyproject.toml").read_text()
