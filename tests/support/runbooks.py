"""The shell blocks of the runbooks, and a fresh clone in which a test runs them.

A block runs unless a comment before it says why not: `<!-- skip: reason -->`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from product_tools.packages import CACHE
from product_tools.repository import REPOSITORY
from tests.support.github_cli import write_github_cli

FOLDER = REPOSITORY / "docs" / "runbooks"
PAGES = {
    path.stem.removeprefix("product_lambda_"): path.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.md"))
}
_BLOCK = re.compile(
    r"^(?P<heading>#+ [^\n]+)$"
    r"|^(?:<!-- skip: (?P<reason>[^\n]+) -->\n)?```sh\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Stands for the download of the locked packages, which test_bootstrap.py runs.
_BOOTSTRAP = """#!/bin/sh
cd "$(dirname "$0")/.."
mkdir -p .local
for environment in "$@"; do
    case $environment in
        local | dev) ln -sfn {environment} .venv ;;
        engine) ln -sfn {repository}/.local/engine .local/engine ;;
    esac
done
"""


_GIT_COMMANDS = (
    "init --quiet",
    "add --all",
    "-c user.name=Tester -c user.email=tester@example.com commit --quiet -m release",
    "tag v1.0.0",
    "update-ref refs/remotes/origin/main HEAD",
)


@dataclass(frozen=True, slots=True)
class Block:
    """A shell block of a page.

    Attributes:
        heading: the heading before it.
        commands: its text.
        skip_reason: why no test runs it; empty if one does.
    """

    heading: str
    commands: str
    skip_reason: str


def shell_blocks(page: str) -> list[Block]:
    """Return the shell blocks of a page, in their order."""
    blocks = []
    heading = ""
    for match in _BLOCK.finditer(page):
        if match["heading"]:
            heading = match["heading"].lstrip("# ")
        else:
            blocks.append(Block(heading, match["commands"], match["reason"] or ""))
    return blocks


def blocks_of_features() -> list[str]:
    """Return the shell blocks of the README about what can be switched on."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        block.commands
        for block in shell_blocks(readme)
        if block.heading == "What can be switched on"
    ]


class Clone:
    """A clone with the files of the repository in one commit, without environments and packages.

    `.venv` appears when a command calls `scripts/bootstrap.sh dev`, as in a real clone.

    Args:
        folder: the folder of the copy.
        programs: a folder for programs; it comes first in the PATH of all commands.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (REPOSITORY / name).is_file():  # else it is deleted, but not yet in a commit
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, folder / name)
        (folder / "scripts" / "bootstrap.sh").write_text(
            _BOOTSTRAP.format(environment=sys.prefix, repository=REPOSITORY)
        )
        for arguments in _GIT_COMMANDS:
            subprocess.run(["git", *arguments.split()], cwd=folder, check=True)
        if CACHE.exists():
            cache = folder / CACHE.relative_to(REPOSITORY)
            shutil.copytree(CACHE, cache, copy_function=os.link)
        programs.mkdir()
        (programs / "aws").symlink_to(REPOSITORY / ".local" / "awscli" / "bin" / "aws")
        write_github_cli(programs / "gh")

    def run(
        self, steps: Sequence[str], values: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run commands in one shell, which stops at the first error and confirms each question.

        Args:
            steps: shell commands; they share their variables.
            values: environment variables, besides those of this process.
        """
        script = self._programs.parent / "commands.sh"
        script.write_text("\n".join(["set -euxo pipefail", *steps, ""]))
        environment = {
            **os.environ,
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            # The environment in .venv would import the packages of this repository.
            "PYTHONPATH": os.pathsep.join([str(self.folder / "src"), str(self.folder)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(values or {}),
        }
        return subprocess.run(
            ["bash", "-c", f"yes yes | bash '{script}'"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
