"""The locked requirements: pinned versions, hashes, and the same versions in all files."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKED = [ROOT / "requirements.txt", *sorted((ROOT / "tools/requirements").glob("*.txt"))]
LOCK_FILES = "tools/*/package-lock.json"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def logical_lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def versions(file: Path) -> dict[str, str]:
    requirements = [Requirement(line.partition("--hash")[0]) for line in logical_lines(file)]
    return {canonicalize_name(each.name): str(each.specifier) for each in requirements}


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_requirements_have_one_version_and_hashes(file: Path) -> None:
    for line in logical_lines(file):
        assert re.match(
            r"^[A-Za-z0-9._-]+==[^ ;]+ ( *;[^-]*)?( *--hash=sha256:[0-9a-f]{64})+$", line
        )


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_requirements_contain_no_url(file: Path) -> None:
    assert not re.search(r"https?:|file:|-index|-links", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["requirements.txt", "tools/requirements/local.txt"])
def test_development_environment_has_same_versions(name: str) -> None:
    development = versions(ROOT / "tools/requirements/dev.txt")

    assert versions(ROOT / name).items() <= development.items()


def test_dependencies_are_locked() -> None:
    project = tomllib.loads(PYPROJECT)
    groups = {"": project["project"]["dependencies"], **project["dependency-groups"]}

    for group, lines in groups.items():
        file = f"tools/requirements/{group}.txt" if group else "requirements.txt"
        locked = versions(ROOT / file)
        requirements = [Requirement(line) for line in lines if isinstance(line, str)]
        for requirement in requirements:
            pinned = locked[canonicalize_name(requirement.name)].removeprefix("==")
            assert requirement.specifier.contains(pinned), requirement


def test_dependencies_have_comment_with_reason() -> None:
    project = tomllib.loads(PYPROJECT)
    lines = PYPROJECT.splitlines()
    dependencies = [
        entry
        for group in (project["project"]["dependencies"], *project["dependency-groups"].values())
        for entry in group
        if isinstance(entry, str)
    ]

    for dependency in dependencies:
        index = next(index for index, line in enumerate(lines) if f'"{dependency}"' in line)
        assert "#" in lines[index] or lines[index - 1].lstrip().startswith("#"), dependency


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in ROOT.glob(LOCK_FILES)))
def test_npm_packages_have_hash_and_no_url(folder: str) -> None:
    text = (ROOT / "tools" / folder / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]

    for path, package in packages.items():
        assert "resolved" not in package
        assert not path or package["integrity"].startswith("sha512-")
