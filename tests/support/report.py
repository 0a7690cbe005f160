"""Writes measured figures into documents: only between markers, nowhere else."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from product_tools.repository import REPOSITORY

PERFORMANCE = REPOSITORY / "docs" / "performance.md"
"""What a person reads about speed and cost."""
RELIABILITY = REPOSITORY / "docs" / "reliability.md"
"""What a person reads about correctness."""
CHARTS = REPOSITORY / "docs" / "charts"
FIGURES = CHARTS / "figures.md"
"""All other measured figures."""


def write_section(document: Path, name: str, text: str) -> None:
    """Replace the text between `<!-- name:begin -->` and `<!-- name:end -->`.

    Raises:
        ValueError: the document has no such markers.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = document.read_text(encoding="utf-8")
    section = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not section.search(whole):
        raise ValueError(f"{document.name} has no markers {begin} and {end}: add both lines.")
    written = f"{begin}\n\n{text.strip()}\n\n{end}"
    document.write_text(section.sub(lambda _: written, whole), encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the other columns are numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows))
