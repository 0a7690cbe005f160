"""The Terraform roots of the administrator: their inputs, files, and places in documents."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from product_tools.repository import REPOSITORY
from product_tools.terraform import TERRAFORM_FOLDER

ROOTS: Final = ("pipelines", "region")
README: Final = (TERRAFORM_FOLDER / "README.md").read_text()
BLOCK: Final = re.compile(r'^(variable|output) "(\w+)" {\n(.*?)^}', re.MULTILINE | re.DOTALL)

CASES: Final = [
    pytest.param(root, kind, name, body, id=f"{root}-{name}")
    for root in ROOTS
    for file in sorted((TERRAFORM_FOLDER / root).glob("*.tf"))
    for kind, name, body in BLOCK.findall(file.read_text())
]


def other_roots() -> list[Path]:
    """Return the folders of all roots below terraform/."""
    return [file.parent for file in sorted(TERRAFORM_FOLDER.glob("*/.terraform.lock.hcl"))]


@pytest.mark.parametrize(("root", "kind", "name", "body"), CASES)
def test_input_or_output_is_described_in_readme(root: str, kind: str, name: str, body: str) -> None:
    description = re.search(r'description = "([A-Z].{20,}\.)"', body)
    assert description
    section = README.split(f"### `{root}/`\n")[1].split("\n### ")[0]
    row = rf"^\| {kind} \| `{name}` \| {re.escape(description[1])} \|"
    assert re.search(row, section, re.MULTILINE)


@pytest.mark.parametrize(("root", "kind", "name", "body"), CASES)
def test_input_is_typed_and_validated(root: str, kind: str, name: str, body: str) -> None:
    if kind == "variable":
        assert re.search(r"type +=", body), root
        messages = re.findall(r'error_message = "(.*)"', body)
        assert messages or "= bool" in body
        assert all(message.startswith(name) and message.endswith(".") for message in messages)


@pytest.mark.parametrize("folder", other_roots(), ids=lambda folder: folder.name)
def test_root_is_locked_checked_and_updated(folder: Path) -> None:
    lock = (folder / ".terraform.lock.hcl").read_bytes()
    assert lock == (TERRAFORM_FOLDER / ".terraform.lock.hcl").read_bytes()

    path = str(folder.relative_to(REPOSITORY))
    assert path in (REPOSITORY / "scripts" / "check_terraform.sh").read_text()
    dependabot = yaml.safe_load((REPOSITORY / ".github" / "dependabot.yml").read_text())
    [terraform] = [
        each for each in dependabot["updates"] if each["package-ecosystem"] == "terraform"
    ]
    assert f"/{path}" in terraform["directories"]


def test_states_have_different_keys() -> None:
    files = [TERRAFORM_FOLDER / "backend.tf"]
    files += [TERRAFORM_FOLDER / root / "backend.tf" for root in ROOTS]
    backends = [file.read_text() for file in files]
    keys = [re.findall(r'key += "(.+)"', text) for text in backends]

    assert len({key for [key] in keys}) == len(files)
    for text in backends:
        assert re.search(r"encrypt += true\n +use_lockfile = true", text)
