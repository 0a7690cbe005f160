"""The locked requirements, as a machine that trusts nobody installs them."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKED = [ROOT / "requirements.txt", *sorted((ROOT / "tools/requirements").glob("*.txt"))]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def logical_lines(file: Path) -> list[str]:
    joined = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]


def versions(file: Path) -> dict[str, str]:
    requirements = [Requirement(line.partition("--hash")[0]) for line in logical_lines(file)]
    return {canonicalize_name(found.name): str(found.specifier) for found in requirements}


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_every_requirement_is_one_version_with_its_hashes(file: Path) -> None:
    for line in logical_lines(file):
        assert re.match(
            r"^[A-Za-z0-9._-]+==[^ ;]+ ( *;[^-]*)?( *--hash=sha256:[0-9a-f]{64})+$", line
        )


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_requirements_name_no_place_to_fetch_from(file: Path) -> None:
    assert not re.search(r"https?:|file:|-index|-links", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["requirements.txt", "tools/requirements/local.txt"])
def test_the_development_environment_holds_the_same_versions(name: str) -> None:
    development = versions(ROOT / "tools/requirements/dev.txt")

    assert versions(ROOT / name).items() <= development.items()


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads(PYPROJECT)
    groups = {"": project["project"]["dependencies"], **project["dependency-groups"]}

    for group, lines in groups.items():
        file = f"tools/requirements/{group}.txt" if group else "requirements.txt"
        locked = versions(ROOT / file)
        wanted = [Requirement(line) for line in lines if isinstance(line, str)]
        for requirement in wanted:
            pinned = locked[canonicalize_name(requirement.name)].removeprefix("==")
            assert requirement.specifier.contains(pinned), requirement


def test_every_dependency_says_what_it_is_for() -> None:
    project = tomllib.loads(PYPROJECT)
    lines = PYPROJECT.splitlines()
    dependencies = [
        entry
        for group in (project["project"]["dependencies"], *project["dependency-groups"].values())
        for entry in group
        if isinstance(entry, str)
    ]

    for dependency in dependencies:
        at = next(number for number, line in enumerate(lines) if f'"{dependency}"' in line)
        assert "#" in lines[at] or lines[at - 1].lstrip().startswith("#"), dependency


@pytest.mark.parametrize("file", sorted(ROOT.glob("tools/*/package-lock.json")), ids=str)
def test_npm_packages_are_locked_by_content_and_not_by_place(file: Path) -> None:
    packages = json.loads(file.read_text(encoding="utf-8"))["packages"]

    for path, package in packages.items():
        assert "resolved" not in package
        assert not path or package["integrity"].startswith("sha512-")
