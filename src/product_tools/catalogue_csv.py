"""The cells of catalogue files in CSV (RFC 4180), for spreadsheets.

It knows rows and cells, but no field of a product. Reading returns every text as it was written.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

# Excel takes a file for UTF-8 only when it begins with this mark.
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet takes such a text for a formula (OWASP, "CSV Injection"; the wide forms are those of
# Asian keyboards). A backslash in front prevents it. The usual apostrophe would not come back: some
# spreadsheets remove it, others keep it, so texts with one of their own need the backslash too.
_SPECIAL = "[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20'\\\\]"
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
# Spreadsheets in South Africa write 19,99. Three digits after a comma could be thousands.
_DECIMAL_COMMA = re.compile("[0-9]+,[0-9]{1,2}")
_LIST_ITEM = re.compile(r"(?:[^\\|]|\\.?)+", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\|])")


class Row(NamedTuple):
    """A row below the header.

    Attributes:
        line: the line that it begins in, from 1.
        cells: the text of each cell that is not empty, by column.
    """

    line: int
    cells: Mapping[str, str]


def text_of(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return a file with a header and one line for each row; missing values are empty cells.

    Args:
        columns: the header.
        rows: texts, Decimals, and lists of texts, by column.
    """
    file = io.StringIO(newline="")
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return file.getvalue()


def rows_of(text: str, columns: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of a file; empty rows are left out.

    The columns are separated by commas, semicolons or tabs, as in the header.

    Args:
        text: the file.
        columns: the columns that it may have, in any order.

    Raises:
        ValueError: the text is not such a file; the text names the line.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    header_line = text.partition("\n")[0]
    delimiter = next((found for found in ";\t" if found in header_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = _checked_header(next(reader, []), list(columns))
        line = reader.line_num + 1
        for values in reader:
            if any(map(str.strip, values[len(header) :])):
                raise ValueError(
                    f"line {line} has more cells than the header; put quotation marks around a cell"
                    " with a separator in it"
                )
            elif any(map(str.strip, values)):
                cells = zip(header, map(_unguarded, values), strict=False)
                yield Row(line, {column: cell for column, cell in cells if cell.strip()})
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def number_in(cell: str) -> Decimal | str:
    """Return the number in a cell, exact; other text as it is, for a check to report."""
    text = cell.strip()
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return Decimal(text) if _NUMBER.fullmatch(text) else cell


def list_in(cell: str) -> list[str]:
    r"""Return the texts in a cell, which are joined by ``|``; ``\|`` is a bar in a text."""
    return [_ESCAPED.sub(r"\1", item) for item in _LIST_ITEM.findall(cell) if item.strip()]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:f}"
        case list():
            return _guarded("|".join(re.sub(r"([\\|])", r"\\\1", item) for item in value))
        case _:
            return _guarded(str(value))


def _guarded(text: str) -> str:
    return f"\\{text}" if re.match(_SPECIAL, text) else text


def _unguarded(cell: str) -> str:
    return cell[1:] if re.match(rf"\\{_SPECIAL}", cell) else cell


def _checked_header(values: Sequence[str], columns: Sequence[str]) -> list[str]:
    header = [value.strip() for value in values]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise ValueError(f"line 1 must have the columns {', '.join(columns)}")
    if unknown := [name for name in header if name not in columns]:
        raise ValueError(
            f"line 1 has the unknown column {unknown[0]!r} (known: {', '.join(columns)})"
        )
    if repeated := [name for name in header if header.count(name) > 1]:
        raise ValueError(f"line 1 has the column {repeated[0]} twice")
    return header
