"""Writes measured figures into documents, between markers, and nowhere else."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PERFORMANCE = REPOSITORY / "docs" / "performance.md"
RELIABILITY = REPOSITORY / "docs" / "reliability.md"
CHARTS = REPOSITORY / "docs" / "charts"


def write_section(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name:begin -->` and `<!-- name:end -->`.

    Raises:
        ValueError: the document has no such markers.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = document.read_text(encoding="utf-8")
    section = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not section.search(whole):
        raise ValueError(f"{document.name} has no markers {begin} and {end}.")
    written = f"{begin}\n\n{text.strip()}\n\n{end}"
    document.write_text(section.sub(lambda _: written, whole), encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows))
