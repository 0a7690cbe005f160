"""Brings the catalogue of a product API in line with a file, or writes it to one, over HTTP.

It never deletes: products that the file does not name stay.
"""

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

from product_tools import catalogue_file
from product_tools.api_client import (
    DUPLICATE_PRODUCT,
    PRODUCT_NOT_FOUND,
    ApiClient,
    ApiResponse,
    ApiUnavailableError,
)
from product_tools.catalogue_file import Product

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


class RejectedError(Exception):
    """The API refuses a product; the text says why."""


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
            except RejectedError as rejection:
                outcomes.append(Outcome(product, Deed.FAILED, reason=str(rejection)))
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
        response = api.send("GET", "/products", query=query)
        page = response.member("products")
        if response.status != HTTPStatus.OK or not isinstance(page, list):
            raise ApiUnavailableError(
                f"The list of products was not to be had ({response.reason()}):"
                f" check the address, {api.base_url}."
            )
        products += map(catalogue_file.writable_fields, page)
        token = response.member("nextToken")
        if not token:
            break
        query = {"limit": LARGEST_PAGE, "nextToken": str(token)}
    catalogue_file.write(path, products)
    print(f"Products written to {path}: {len(products)}.")
    return EXIT_DONE


def preview(api: ApiClient, product: Product) -> Outcome:
    """Say what loading a product would do; write nothing."""
    current = _read(api, product)
    if current is None:
        return Outcome(product, Deed.WOULD_CREATE)
    changes = _differences(product, current)
    deed = Deed.WOULD_UPDATE if changes else Deed.UNCHANGED
    return Outcome(product, deed, ", ".join(changes))


def bring_in_line(api: ApiClient, product: Product) -> Outcome:
    """Create or change a product so that it is as the file says."""
    # A round has no outcome only when another writer came between its reading and its writing.
    for _ in range(ROUNDS_AGAINST_OTHER_WRITERS):
        current = _read(api, product)
        outcome = _create(api, product) if current is None else _update(api, product, current)
        if outcome is not None:
            return outcome
    raise RejectedError("others keep changing it: load the file again when they are done.")


def _read(api: ApiClient, product: Product) -> ApiResponse | None:
    response = api.send("GET", _path(product))
    if response.member("type") == PRODUCT_NOT_FOUND:
        return None
    if response.status != HTTPStatus.OK:
        raise RejectedError(response.reason())
    return response


def _create(api: ApiClient, product: Product) -> Outcome | None:
    response = api.send(
        "POST",
        "/products",
        body={field: value for field, value in product.items() if value is not None},
        # New for each creation: one made from the content would answer for a product deleted since.
        headers={"idempotency-key": str(uuid.uuid4())},
    )
    if response.status == HTTPStatus.CREATED:
        return Outcome(product, Deed.CREATED)
    if response.member("type") != DUPLICATE_PRODUCT:
        raise RejectedError(response.reason())
    if _read(api, product) is None:
        raise RejectedError(
            "it was deleted on the server, where an id is never given again:"
            " give it another productId, or take it out of the file."
        )
    return None


def _update(api: ApiClient, product: Product, current: ApiResponse) -> Outcome | None:
    changes = _differences(product, current)
    if not changes:
        return Outcome(product, Deed.UNCHANGED)
    version = current.headers.get("etag", "")
    response = api.send("PUT", _path(product), body=changes, headers={"if-match": version})
    if response.status == HTTPStatus.PRECONDITION_FAILED:
        return None
    if response.status != HTTPStatus.OK:
        raise RejectedError(response.reason())
    return Outcome(product, Deed.UPDATED, ", ".join(changes))


def _path(product: Product) -> str:
    return f"/products/{quote(product['productId'], safe='')}"


def _differences(product: Product, current: ApiResponse) -> dict[str, object]:
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
