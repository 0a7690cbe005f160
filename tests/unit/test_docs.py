"""Checks the documents against the repository: links, paths, commands, figures and line length."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# New files count before they are tracked, deleted ones no longer.
FILES = [
    name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    if (ROOT / name).exists()
]
DOCUMENTS = sorted(name for name in FILES if name.endswith(".md"))
FOLDERS = {str(parent) for name in FILES for parent in Path(name).parents}
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
SHELL_BLOCK = re.compile(r"^```(?:sh|bash)\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
GENERATED_FOLDERS = (".local/", "dist/", ".venv/")
MEDIA_TYPE = re.compile(r"(?:application|text)/[\w+.-]+")
PATH = re.compile(
    r"`(?P<path>(?:\.?[\w-]+/)+[\w.{}*-]*|[\w-]+\.(?:md|toml|json|yaml|txt)|\.ci/run)`"
)
MAX_COLUMNS = 100


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def section_of(document: str, heading: str) -> str:
    return text_of(document).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table_rows(section: str) -> list[str]:
    return re.findall(r"^\| .*\|$", section, re.MULTILINE)


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def file_named(path: str, document: str) -> Path | None:
    """Return the file or folder that a document names by a path, relative to the repository."""
    for base in (Path(), Path(document).parent, Path("src/product_lambda")):
        candidate = base / path.rstrip("/")
        if str(candidate) in FILES or str(candidate) in FOLDERS:
            return candidate
    return None


def prose_lines(text: str) -> Iterator[str]:
    """Yield the lines outside code blocks and tables, without URLs."""
    for line in CODE_BLOCK.sub("", text).splitlines():
        if not line.startswith("|"):
            yield re.sub(r"https?://\S+", "", line)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_existing_files(document: str) -> None:
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
def test_named_paths_exist(document: str) -> None:
    missing = [
        match["path"]
        for match in PATH.finditer(text_of(document))
        if not any(mark in match["path"] for mark in "{*")
        and not MEDIA_TYPE.fullmatch(match["path"])
        and not match["path"].startswith(GENERATED_FOLDERS)
        and file_named(match["path"], document) is None
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shell_blocks_parse(document: str) -> None:
    for match in SHELL_BLOCK.finditer(text_of(document)):
        parsed = subprocess.run(
            ["bash", "-n"], input=match["commands"], capture_output=True, text=True, check=False
        )
        assert parsed.stderr == ""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_make_targets_exist(document: str) -> None:
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", text_of(document)))
    for match in SHELL_BLOCK.finditer(text_of(document)):
        named |= set(re.findall(r"^make ([a-z0-9-]+)", match["commands"], re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_commands_name_their_interpreter(document: str) -> None:
    command = r"(?<!\.venv/bin/python )scripts/\w+\.py +-[^`\n]*"
    assert re.findall(command, text_of(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_prose_has_at_most_100_columns(document: str) -> None:
    assert f"max_line_length = {MAX_COLUMNS}\n" in text_of(".editorconfig")
    too_long = [line for line in prose_lines(text_of(document)) if len(line) > MAX_COLUMNS]
    assert too_long == []


def test_changelog_has_section_of_project_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    sections = re.findall(r"^## (.+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", name) for name in sections[1:])
    assert sections[1].startswith(f"{version} (")


def test_readme_figures_are_measured_figures() -> None:
    section = section_of("README.md", "Performance and reliability")
    pages = ("docs/performance.md", "docs/reliability.md", "docs/cost.md")
    measured = "".join(map(text_of, pages))
    quoted = re.findall(r"\*\*(.+?)\*\*", section)
    assert quoted
    assert [figure for figure in quoted if not re.search(rf"\b{re.escape(figure)}", measured)] == []


@pytest.mark.parametrize(
    "row",
    table_rows(section_of("CONTRIBUTING.md", "Add a field")),
    ids=lambda row: row.strip("| ").partition(" |")[0],
)
def test_add_field_guide_names_existing_code(row: str) -> None:
    files = [file_named(match["path"], "CONTRIBUTING.md") for match in PATH.finditer(row)]
    code = "".join((ROOT / file).read_text(encoding="utf-8") for file in files if file)
    names = re.findall(r"`(\w+)(?:\(\))?`", row) if code else []
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


def test_testing_guide_names_existing_code() -> None:
    text = CODE_BLOCK.sub("", text_of("docs/testing.md"))
    python_files = [name for name in FILES if name.startswith("tests/") and name.endswith(".py")]
    code = "".join(text_of(name) for name in (*python_files, "Makefile"))
    names = set(re.findall(r"`(\w+)\(", text)) | set(re.findall(r"`([A-Z]\w+)`", text))
    names |= {
        name
        for row in table_rows(section_of("docs/testing.md", "Fixtures"))[1:]
        for name in re.findall(r"`(\w+)`", row)
    }
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


def test_testing_guide_lists_every_support_module() -> None:
    section = section_of("docs/testing.md", "Shared code")
    listed = re.findall(r"^\| `(\w+\.py)`", section, re.MULTILINE)
    modules = (ROOT / "tests" / "support").glob("*.py")
    assert sorted(listed) == sorted(module.name for module in modules)
