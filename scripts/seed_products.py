#!/usr/bin/env python3
"""Loads a catalogue file into a product API over HTTP, or writes the API's catalogue to one.

A second run changes nothing. It never deletes: products that the file does not name stay.
"""

import argparse
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

# Run as a file, Python has this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import catalogue_file
from scripts.api_client import (
    DUPLICATE_PRODUCT,
    PRODUCT_NOT_FOUND,
    Answer,
    ApiClient,
    ApiUnavailableError,
)
from scripts.catalogue_file import CatalogueFileError, Product

PLANS = Path(__file__).resolve().parents[1] / "catalogue" / "plans.yaml"
LARGEST_PAGE = "100"
ROUNDS_AGAINST_OTHER_WRITERS = 3
EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class Deed(StrEnum):
    """What became of a product."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WOULD_CREATE = "would be created"
    WOULD_UPDATE = "would be updated"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a product: with the fields that differed, or why it failed."""

    product: Product
    deed: Deed
    fields: str = ""
    reason: str = ""


class RefusedError(Exception):
    """The API refuses a product; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Load or export a catalogue.

    Args:
        arguments: The command line after the program's name; that of this program when None.

    Returns:
        0 when all is done, 1 when some of it failed, 2 for a catalogue file that cannot be used,
        130 when interrupted.

    Raises:
        SystemExit: With 2, for arguments that cannot be used.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    writes = not (options.dry_run or options.export)
    api_key = options.api_key or os.environ.get("API_KEY", "")
    if writes and not api_key.strip():
        parser.error("an API key is needed to write: set API_KEY, or give --api-key.")
    if options.dry_run and options.export:
        parser.error("--export writes nothing to the API: leave --dry-run out.")
    try:
        api = ApiClient(options.base_url, api_key)
    except ValueError as fault:
        parser.error(str(fault))

    try:
        if options.export:
            return export_catalogue(api, options.export)
        treat = _preview if options.dry_run else _bring_in_line
        return load_catalogue(api, catalogue_file.read(options.file), treat)
    except CatalogueFileError as fault:
        print(fault, file=sys.stderr)
        return EXIT_USAGE
    except ApiUnavailableError as fault:
        print(fault, file=sys.stderr)
        return EXIT_FAILED


def load_catalogue(
    api: ApiClient, products: Sequence[Product], treat: Callable[[ApiClient, Product], Outcome]
) -> int:
    """Treat each product in turn, and show what became of it.

    Returns:
        The exit code.
    """
    outcomes: list[Outcome] = []
    stop_reason, exit_code = "", EXIT_DONE
    errors = Console(stderr=True)
    try:
        for product in track(
            products, "Loading", console=errors, transient=True, disable=not errors.is_terminal
        ):
            try:
                outcomes.append(treat(api, product))
            except RefusedError as refusal:
                outcomes.append(Outcome(product, Deed.FAILED, reason=str(refusal)))
    except ApiUnavailableError as fault:
        stop_reason, exit_code = str(fault), EXIT_FAILED
    except KeyboardInterrupt:
        stop_reason = "Interrupted: give the same command again to do the rest."
        exit_code = EXIT_INTERRUPTED
    outcomes += [Outcome(product, Deed.NOT_TRIED) for product in products[len(outcomes) :]]

    _show(outcomes)
    failures = [outcome for outcome in outcomes if outcome.deed is Deed.FAILED]
    for failure in failures:
        _say(errors, f"{failure.product['productId']} failed: {failure.reason}")
    if stop_reason:
        _say(errors, stop_reason)
    return exit_code or (EXIT_FAILED if failures else EXIT_DONE)


def export_catalogue(api: ApiClient, path: Path) -> int:
    """Write every active product to a file that ``--file`` takes.

    Returns:
        The exit code.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
        CatalogueFileError: The file cannot be written.
    """
    catalogue_file.check_ending(path)
    products: list[Product] = []
    query = {"limit": LARGEST_PAGE}
    while True:
        answer = api.send("GET", "/products", query=query)
        page = answer.member("products")
        if answer.status != HTTPStatus.OK or not isinstance(page, list):
            raise ApiUnavailableError(
                f"The list of products was not to be had ({answer.reason()}):"
                f" check the address, {api.base_url}."
            )
        products += map(catalogue_file.writable_fields, page)
        token = answer.member("nextToken")
        if not token:
            break
        query = {"limit": LARGEST_PAGE, "nextToken": str(token)}
    catalogue_file.write(path, products)
    print(f"Products written to {path}: {len(products)}.")
    return EXIT_DONE


def _preview(api: ApiClient, product: Product) -> Outcome:
    current = _read(api, product)
    if current is None:
        return Outcome(product, Deed.WOULD_CREATE)
    changes = _differences(product, current)
    deed = Deed.WOULD_UPDATE if changes else Deed.UNCHANGED
    return Outcome(product, deed, ", ".join(changes))


def _bring_in_line(api: ApiClient, product: Product) -> Outcome:
    # A round has no outcome only when another writer came between its reading and its writing.
    for _ in range(ROUNDS_AGAINST_OTHER_WRITERS):
        current = _read(api, product)
        outcome = _create(api, product) if current is None else _update(api, product, current)
        if outcome is not None:
            return outcome
    raise RefusedError("others keep changing it: load the file again when they are done.")


def _read(api: ApiClient, product: Product) -> Answer | None:
    answer = api.send("GET", _path(product))
    if answer.member("type") == PRODUCT_NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        raise RefusedError(answer.reason())
    return answer


def _create(api: ApiClient, product: Product) -> Outcome | None:
    answer = api.send(
        "POST",
        "/products",
        body={field: value for field, value in product.items() if value is not None},
        # New for each creation: one made from the content would answer for a product deleted since.
        headers={"idempotency-key": str(uuid.uuid4())},
    )
    if answer.status == HTTPStatus.CREATED:
        return Outcome(product, Deed.CREATED)
    if answer.member("type") != DUPLICATE_PRODUCT:
        raise RefusedError(answer.reason())
    if _read(api, product) is None:
        raise RefusedError(
            "it was deleted on the server, where an id is never given again:"
            " give it another productId, or take it out of the file."
        )
    return None


def _update(api: ApiClient, product: Product, current: Answer) -> Outcome | None:
    changes = _differences(product, current)
    if not changes:
        return Outcome(product, Deed.UNCHANGED)
    version = current.headers.get("etag", "")
    answer = api.send("PUT", _path(product), body=changes, headers={"if-match": version})
    if answer.status == HTTPStatus.PRECONDITION_FAILED:
        return None
    if answer.status != HTTPStatus.OK:
        raise RefusedError(answer.reason())
    return Outcome(product, Deed.UPDATED, ", ".join(changes))


def _path(product: Product) -> str:
    return f"/products/{quote(product['productId'], safe='')}"


def _differences(product: Product, current: Answer) -> dict[str, object]:
    return {field: value for field, value in product.items() if current.member(field) != value}


def _show(outcomes: Sequence[Outcome]) -> None:
    table = Table()
    for heading in ("Product", "Name", "What was done"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        done = f"{outcome.deed}: {outcome.fields}" if outcome.fields else str(outcome.deed)
        table.add_row(*map(Text, (outcome.product["productId"], outcome.product["name"], done)))
    console = Console()
    console.print(table)
    counts = Counter(outcome.deed for outcome in outcomes)
    if set(counts) <= {Deed.UNCHANGED}:
        _say(console, "Nothing to change: the API has every product as the file does.")
    else:
        _say(console, ", ".join(f"{counts[deed]} {deed}" for deed in Deed if counts[deed]) + ".")


def _say(console: Console, sentence: str) -> None:
    console.print(Text(sentence), soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Loads a catalogue into a product API, or exports it, to carry it elsewhere.",
        epilog="Products that the file does not name are left as they are.",
    )
    parser.add_argument(
        "--base-url", required=True, help="the API's address, up to just before /products"
    )
    parser.add_argument(
        "--api-key", default="", help="better given as API_KEY, which no process list shows"
    )
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--file", type=Path, default=PLANS, help="catalogue to load, YAML or JSON (the plans)"
    )
    direction.add_argument(
        "--export", type=Path, metavar="FILE", help="write the API's catalogue to FILE"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what loading would do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
