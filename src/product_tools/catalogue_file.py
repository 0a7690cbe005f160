"""Reads and writes catalogue files, YAML or JSON by their ending, with every number exact.

It checks the shape of a file alone; whether a price or a name is acceptable, the API says.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import simplejson
import yaml

type Product = Mapping[str, Any]
"""The fields a client may write, by their JSON names; amounts exact, no set-up fee is None."""

FLOAT_TAG, INT_TAG = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
UNICODE_LINE_BREAK = re.compile("[\x85\u2028\u2029]")
DEFAULT_CURRENCY = "ZAR"


class CatalogueFileError(Exception):
    """A catalogue file cannot be used; the text names the file and everything wrong with it."""


def read(path: Path) -> list[Product]:
    """Read the products of a catalogue file.

    Texts come trimmed, and a currency or set-up fee left out is filled in, as the API does.

    Raises:
        CatalogueFileError: The file is not there, is neither YAML nor JSON, or is not of the
            form ``{"products": [...]}``.
    """
    load = _format_of(path).load
    try:
        document: Any = load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise CatalogueFileError(f"{path} cannot be read: {fault.strerror}.") from fault
    except UnicodeDecodeError as fault:
        raise CatalogueFileError(f"{path} is not UTF-8: save it in that encoding.") from fault
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        reason = " ".join(str(fault).split())
        raise CatalogueFileError(f"{path} cannot be understood: {reason}.") from fault
    faults = list(_faults_of(document))
    if faults:
        raise CatalogueFileError(
            "\n  - ".join([f"{path} was not loaded; put this right and try again:", *faults])
        )
    return [writable_fields(entry) for entry in document["products"]]


def write(path: Path, products: Iterable[Product]) -> None:
    """Write a catalogue file: by product id, the same bytes for the same products.

    Raises:
        CatalogueFileError: The file cannot be written there.
    """
    dump = _format_of(path).dump
    ordered = sorted(products, key=lambda product: str(product["productId"]))
    entries = [
        {field: value for field, value in product.items() if value is not None}
        for product in ordered
    ]
    try:
        path.write_text(dump({"products": entries}), encoding="utf-8", newline="\n")
    except OSError as fault:
        raise CatalogueFileError(f"{path} cannot be written: {fault.strerror}.") from fault


def check_ending(path: Path) -> None:
    """Raise CatalogueFileError when the file's ending names no known format."""
    _format_of(path)


def writable_fields(entry: Mapping[str, Any]) -> Product:
    """Give the fields a client may write, of a file's entry or an answer, in their usual order."""
    fields = {field: entry.get(field) for field in FIELDS}
    fields["currency"] = entry.get("currency", DEFAULT_CURRENCY)
    return {
        field: (
            value.strip()
            if isinstance(value, str)
            else [text.strip() for text in value] if isinstance(value, list) else value
        )
        for field, value in fields.items()
    }


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal)


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


TEXT = (_is_text, "a text (in quotes where it looks like a number, a date or a yes)")
NUMBER = (_is_number, "a number such as 1500 or 19.99, without quotes")
FIELDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "productId": TEXT,
    "name": TEXT,
    "description": TEXT,
    "price": NUMBER,
    "setupFee": (_is_number_or_none, NUMBER[1]),
    "currency": TEXT,
    "period": TEXT,
    "features": (_is_list_of_texts, "a list of texts"),
}
OPTIONAL_FIELDS = frozenset({"setupFee", "currency"})


def _faults_of(document: object) -> Iterable[str]:
    entries = document.get("products") if isinstance(document, _Mapping) else None
    if not isinstance(document, _Mapping) or not isinstance(entries, list):
        yield "the file must hold one mapping with a list named products"
        return
    yield from (f"unknown field {key} beside products" for key in document if key != "products")
    yield from (f"{key} is given twice" for key in document.repeated)
    first_places: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, _Mapping):
            yield f"product {number} must be a mapping of fields"
            continue
        product_id = entry.get("productId")
        place = f"product {number} ({product_id})" if _is_text(product_id) else f"product {number}"
        yield from (f"{place}: {fault}" for fault in _faults_of_entry(entry))
        if _is_text(product_id):
            first = first_places.setdefault(str(product_id).strip(), place)
            if first != place:
                yield f"{place}: its productId is already that of {first}"


def _faults_of_entry(entry: "_Mapping") -> Iterable[str]:
    yield from (f"{field} is given twice" for field in entry.repeated)
    for field, (is_right, wanted) in FIELDS.items():
        if field not in entry:
            if field not in OPTIONAL_FIELDS:
                yield f"{field} is missing"
        elif not is_right(entry[field]):
            yield f"{field} must be {wanted}"
    known = ", ".join(FIELDS)
    yield from (f"unknown field {key} (known: {known})" for key in entry if key not in FIELDS)


class _Mapping(dict[str, Any]):
    """A mapping that remembers which keys its file repeats, where dict would keep the last."""

    def __init__(self, pairs: Iterable[tuple[object, Any]]) -> None:
        super().__init__()
        self.repeated: list[str] = []
        for key, value in pairs:
            if str(key) in self:
                self.repeated.append(str(key))
            self[str(key)] = value


class _ExactLoader(yaml.SafeLoader):
    """Reads JSON's numbers as Decimal; what else YAML 1.1 takes for one (010, 1:30) is text."""

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
    """Writes Decimal as a plain number, and quotes what any reader would take for a number."""

    def plain_number(self, amount: Decimal) -> yaml.ScalarNode:
        digits = f"{amount:f}"
        return self.represent_scalar(FLOAT_TAG if "." in digits else INT_TAG, digits)

    def text(self, text: str) -> yaml.ScalarNode:
        # Outside double quotes PyYAML folds Unicode's own line breaks away.
        style = '"' if UNICODE_LINE_BREAK.search(text) else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ExactLoader.add_constructor(FLOAT_TAG, _ExactLoader.exact_number)
_ExactLoader.add_constructor(INT_TAG, _ExactLoader.exact_number)
_ExactLoader.add_constructor("tag:yaml.org,2002:map", _ExactLoader.mapping)
_ExactDumper.add_representer(Decimal, _ExactDumper.plain_number)
_ExactDumper.add_representer(str, _ExactDumper.text)
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


def _format_of(path: Path) -> type[_Yaml] | type[_Json]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return _Yaml
        case ".json":
            return _Json
        case _:
            raise CatalogueFileError(f"{path} must end in .yaml, .yml or .json, to tell its form.")
