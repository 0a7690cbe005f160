"""Holds the documents to the repository: what they link to, name and tell to run is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
).stdout.splitlines()
DOCUMENTS = sorted(name for name in TRACKED if name.endswith(".md"))
FOLDERS = {str(parent) for name in TRACKED for parent in Path(name).parents}
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
BLOCK = re.compile(r"^```(?:sh|bash)\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
MADE_BY_COMMANDS = (".local/", "dist/", ".venv/")
MEDIA_TYPE = re.compile(r"(?:application|text)/[\w+.-]+")
PATH = re.compile(
    r"`(?P<path>(?:\.?[\w-]+/)+[\w.{}*-]*|[\w-]+\.(?:md|toml|json|yaml|txt)|\.ci/run)`"
)


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(document: str) -> None:
    broken = []
    for match in LINK.finditer(text_of(document)):
        target, _, anchor = match["target"].partition("#")
        if target.startswith(("http:", "https:")):
            continue
        path = (ROOT / document).parent / target if target else ROOT / document
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(match["target"])
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_is_in_the_repository(document: str) -> None:
    known = {*TRACKED, *FOLDERS}
    places = (Path(), Path(document).parent, Path("src/product_lambda"))
    missing = [
        match["path"]
        for match in PATH.finditer(text_of(document))
        if not any(mark in match["path"] for mark in "{*")
        and not MEDIA_TYPE.fullmatch(match["path"])
        and not match["path"].startswith(MADE_BY_COMMANDS)
        and not any(str(place / match["path"].rstrip("/")) in known for place in places)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_shell_block_parses(document: str) -> None:
    for match in BLOCK.finditer(text_of(document)):
        parsed = subprocess.run(
            ["bash", "-n"], input=match["commands"], capture_output=True, text=True, check=False
        )
        assert parsed.stderr == ""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_named_exists(document: str) -> None:
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", text_of(document)))
    for match in BLOCK.finditer(text_of(document)):
        named |= set(re.findall(r"^make ([a-z0-9-]+)", match["commands"], re.MULTILINE))
    assert named - targets == set()


def test_the_figures_of_the_readme_are_those_that_were_measured() -> None:
    section = text_of("README.md").split("## How fast")[1].split("\n## ")[0]
    measured = text_of("docs/performance.md") + text_of("docs/reliability.md")
    quoted = re.findall(r"\*\*(.+?)\*\*", section)
    assert quoted
    assert [figure for figure in quoted if not re.search(rf"\b{re.escape(figure)}", measured)] == []
