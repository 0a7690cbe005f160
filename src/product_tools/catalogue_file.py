"""Reads and writes catalogue files, YAML, JSON or CSV by file extension, with exact numbers.

It checks only the structure of a file. The API validates the values, such as prices and names.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import simplejson
import yaml

from product_tools import catalogue_csv

type Product = Mapping[str, Any]
"""The writable fields of a product by JSON name; amounts are Decimal, setupFee may be None."""

FLOAT_TAG, INT_TAG = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
UNICODE_LINE_BREAK = re.compile("[\x85\u2028\u2029]")
DEFAULT_CURRENCY = "ZAR"


class CatalogueFileError(Exception):
    """A catalogue file is unusable; the text names the file and all of its errors."""


def read(path: Path) -> list[Product]:
    """Read the products of a catalogue file.

    Strings are trimmed, and a missing currency or set-up fee gets its default, as in the API.

    Raises:
        CatalogueFileError: The file is missing, has none of the formats, or does not have the
            structure ``{"products": [...]}`` or the columns of a CSV file.
    """
    load = _format_of(path).load
    try:
        document: Any = load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CatalogueFileError(
            f"{path} cannot be read ({error.strerror}): check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise CatalogueFileError(
            f"{path} is not UTF-8: save it as UTF-8 (in a spreadsheet, as CSV UTF-8)."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CatalogueFileError(
            f"{path} cannot be parsed; correct this and try again: {reason}."
        ) from error
    errors = list(_document_errors(document))
    if errors:
        raise CatalogueFileError(
            "\n  - ".join([f"{path} was not loaded; correct these errors and try again:", *errors])
        )
    return [writable_fields(entry) for entry in document["products"]]


def write(path: Path, products: Iterable[Product]) -> None:
    """Write a catalogue file, sorted by product id; the same products give the same bytes.

    A file of this name is replaced only by a complete one.

    Raises:
        CatalogueFileError: The file cannot be written.
    """
    dump = _format_of(path).dump
    ordered = sorted(products, key=lambda product: str(product["productId"]))
    entries = [
        {field: value for field, value in product.items() if value is not None}
        for product in ordered
    ]
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(dump({"products": entries}), encoding="utf-8", newline="\n")
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise CatalogueFileError(
            f"{path} cannot be written ({error.strerror}): check the path."
        ) from error


def check_extension(path: Path) -> None:
    """Check that the file's extension is that of a known format.

    Raises:
        CatalogueFileError: It is not.
    """
    _format_of(path)


def writable_fields(entry: Mapping[str, Any]) -> Product:
    """Return the writable fields of a file's entry or of a response, in their usual order."""
    fields = {field: entry.get(field) for field in FIELDS}
    fields["currency"] = entry.get("currency", DEFAULT_CURRENCY)
    return {field: _normalized(value) for field, value in fields.items()}


def _normalized(value: object) -> object:
    match value:
        case str():
            return value.strip()
        case list():
            return [item.strip() for item in value]
        case int():
            return Decimal(value)
        case _:
            return value


def _is_string(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal)


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_string, value))


class _Kind(NamedTuple):
    """A kind of values: which ones are valid, in code and in words, and how a CSV cell has them."""

    is_valid: Callable[[object], bool]
    expected: str
    from_cell: Callable[[str], object]


STRING = _Kind(_is_string, "a text, in quotes if it looks like a number, a date, yes or no", str)
NUMBER = _Kind(
    _is_number,
    "a number such as 1500 or 19.99, without quotes or separators of thousands",
    catalogue_csv.number_in,
)
FIELDS: Mapping[str, _Kind] = {
    "productId": STRING,
    "name": STRING,
    "description": STRING,
    "price": NUMBER,
    "setupFee": NUMBER._replace(is_valid=_is_number_or_none),
    "currency": STRING,
    "period": STRING,
    "features": _Kind(_is_list_of_strings, "a list of texts", catalogue_csv.list_in),
}
OPTIONAL_FIELDS = frozenset({"setupFee", "currency"})


def _document_errors(document: object) -> Iterable[str]:
    entries = document.get("products") if isinstance(document, _Mapping) else None
    if not isinstance(document, _Mapping) or not isinstance(entries, list):
        yield "the file must hold one mapping with a list named products"
        return
    yield from (f"unknown field {key} beside products" for key in document if key != "products")
    yield from (f"{key} is given twice" for key in document.repeated)
    first_labels: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, _Mapping):
            yield f"product {number} must be a mapping of fields"
            continue
        product_id = entry.get("productId")
        has_id = _is_string(product_id)
        label = entry.label or f"product {number}"
        if has_id:
            label += f" ({product_id})"
        yield from (f"{label}: {error}" for error in _entry_errors(entry))
        if has_id:
            first = first_labels.setdefault(str(product_id).strip(), label)
            if first != label:
                yield f"{label}: productId is already used by {first}"


def _entry_errors(entry: "_Mapping") -> Iterable[str]:
    yield from (f"{field} is given twice" for field in entry.repeated)
    for field, kind in FIELDS.items():
        if field not in entry:
            if field not in OPTIONAL_FIELDS:
                yield f"{field} is missing"
        elif not kind.is_valid(entry[field]):
            yield f"{field} must be {kind.expected}"
    known = ", ".join(FIELDS)
    yield from (f"unknown field {key} (known: {known})" for key in entry if key not in FIELDS)


class _Mapping(dict[str, Any]):
    """A mapping that also lists the repeated keys of its file; a dict would drop them.

    `label` says where in the file it is, if the format can tell.
    """

    def __init__(self, pairs: Iterable[tuple[object, Any]], label: str = "") -> None:
        super().__init__()
        self.label = label
        self.repeated: list[str] = []
        for key, value in pairs:
            if str(key) in self:
                self.repeated.append(str(key))
            self[str(key)] = value


class _ExactLoader(yaml.SafeLoader):
    """Loads JSON numbers as Decimal, and YAML 1.1's other numbers (010, 1:30) as strings."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and type are PyYAML's
        first: [(tag, form) for tag, form in resolvers if tag not in (FLOAT_TAG, INT_TAG)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def exact_number(self, node: yaml.ScalarNode) -> Decimal:
        try:
            return Decimal(node.value)
        except InvalidOperation:
            raise ValueError(f"{node.value!r} is not a number{node.start_mark}") from None

    def mapping(self, node: yaml.MappingNode) -> _Mapping:
        return _Mapping(
            (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
            for key, value in node.value
        )


class _ExactDumper(yaml.SafeDumper):
    """Dumps Decimal as a plain number, and quotes every string that a reader takes for a number."""

    def plain_number(self, amount: Decimal) -> yaml.ScalarNode:
        digits = f"{amount:f}"
        return self.represent_scalar(FLOAT_TAG if "." in digits else INT_TAG, digits)

    def string(self, text: str) -> yaml.ScalarNode:
        # Outside double quotes PyYAML folds Unicode line breaks, which loses them.
        style = '"' if UNICODE_LINE_BREAK.search(text) else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ExactLoader.add_constructor(FLOAT_TAG, _ExactLoader.exact_number)
_ExactLoader.add_constructor(INT_TAG, _ExactLoader.exact_number)
_ExactLoader.add_constructor("tag:yaml.org,2002:map", _ExactLoader.mapping)
_ExactDumper.add_representer(Decimal, _ExactDumper.plain_number)
_ExactDumper.add_representer(str, _ExactDumper.string)
for yaml_class in (_ExactLoader, _ExactDumper):
    yaml_class.add_implicit_resolver(FLOAT_TAG, JSON_NUMBER, list("-0123456789"))


class _Yaml:
    @staticmethod
    def load(text: str) -> object:
        return yaml.load(text, Loader=_ExactLoader)  # noqa: S506 - a SafeLoader

    @staticmethod
    def dump(document: object) -> str:
        return yaml.dump(
            document, Dumper=_ExactDumper, sort_keys=False, allow_unicode=True, width=100
        )


class _Json:
    @staticmethod
    def load(text: str) -> object:
        return simplejson.loads(
            text, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_Mapping
        )

    @staticmethod
    def dump(document: object) -> str:
        return simplejson.dumps(document, use_decimal=True, ensure_ascii=False, indent=2) + "\n"


class _Csv:
    @staticmethod
    def load(text: str) -> object:
        rows = [
            _Mapping(
                ((column, FIELDS[column].from_cell(cell)) for column, cell in row.cells.items()),
                label=f"line {row.line}",
            )
            for row in catalogue_csv.rows_of(text, FIELDS)
        ]
        return _Mapping([("products", rows)])

    @staticmethod
    def dump(document: Mapping[str, Any]) -> str:
        return catalogue_csv.text_of(list(FIELDS), document["products"])


def _format_of(path: Path) -> type[_Yaml] | type[_Json] | type[_Csv]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return _Yaml
        case ".json":
            return _Json
        case ".csv":
            return _Csv
        case _:
            raise CatalogueFileError(f"{path} must end in .yaml, .yml, .json or .csv: rename it.")
