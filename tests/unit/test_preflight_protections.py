"""What the preflight says about the CI/CD guide: the rules of GitHub environments, and sections."""

import re
from pathlib import Path

import pytest

from product_tools.preflight.github import PROTECTIONS, Protection

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "runbooks" / "product_lambda_cicd_guide.md").read_text()
TABLE = dict(
    re.findall(
        r"^\| `([\w-]+)` \| (?:plans in|deploys to|rolls back in) (.*) \|$", GUIDE, re.MULTILINE
    )
)


def test_every_environment_of_guide_has_rules() -> None:
    assert set(TABLE) == set(PROTECTIONS)


@pytest.mark.parametrize("name", PROTECTIONS)
def test_rules_are_those_of_guide(name: str) -> None:
    _, approval, refs = TABLE[name].split(" | ")
    kinds = re.split(r"(branch|branches|tags) `", refs)
    named = frozenset(
        f"{'tag' if kind == 'tags' else 'branch'} {ref}"
        for kind, names in zip(kinds[1::2], kinds[2::2], strict=True)
        for ref in re.findall(r"[\w*/]+(?=`)", names)
    )
    own_approval = None
    if "the one who started" in approval:
        own_approval = "also the one" in approval

    assert PROTECTIONS[name] == Protection(named, approval != "none", own_approval)


def test_named_sections_are_in_guide() -> None:
    folder = ROOT / "src" / "product_tools" / "preflight"
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    named = re.findall(r'CI/CD guide: ([^"]+)"', sources)
    sections = re.findall(r"^### \d+\. (.+)$", GUIDE, re.MULTILINE)

    assert len(named) >= 5
    assert set(named) <= set(sections)
