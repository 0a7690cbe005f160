#!/usr/bin/env python3
"""Shows, compares, loads and exports the catalogue of a product API, over HTTP.

docs/admin.md explains its daily use. The history of a product comes from the audit bucket instead.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import environment_check

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from product_tools import catalogue_file
from product_tools.api_client import ApiClient, ApiUnavailableError
from product_tools.catalogue_diff import differences
from product_tools.catalogue_file import CatalogueFileError, Product
from product_tools.catalogue_sync import (
    NO_CHANGES,
    Outcome,
    Result,
    active_products,
    add_product,
    load_product,
    preview_addition,
    preview_load,
    restore_product,
    retire_product,
    retired_products,
)
from product_tools.change_events import Change
from product_tools.functions import ENVIRONMENTS
from product_tools.moments import MomentError, add_period, period_of

EXIT_DONE, EXIT_DIFFERENT, EXIT_TROUBLE, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = """exit codes:
  0    done; for diff: no difference
  1    the API rejected a product; for diff: there are differences; for history: a part of it was
       not read
  2    wrong arguments, an unusable file, or an API or a bucket that does not respond or rejects
       the caller
  130  interrupted"""
_DEPLOYMENTS = (*ENVIRONMENTS, "prod-recovery")  # as environment_files, which needs more packages
_BASE_URL_HELP = "address of the API, up to just before /products (default: BASE_URL)"
_API_KEY_HELP = "API key; set API_KEY instead to keep it out of process lists"

type Command = Callable[[ApiClient, argparse.Namespace], int]


class CatalogueError(Exception):
    """The command cannot do what it is asked; the text is a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command on a catalogue.

    Args:
        arguments: The command line after the program's name; that of this program when None.

    Returns:
        One of the exit codes in the help.

    Raises:
        SystemExit: With 2, for invalid arguments.
    """
    parser = argparse.ArgumentParser(
        description="Shows, compares, loads and exports the catalogue of a product API, and shows"
        " the history of a product.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)

    def parser_of(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def new(name: str, command: Command, summary: str) -> argparse.ArgumentParser:
        added = parser_of(name, summary)
        add_api_options(added)
        added.set_defaults(command=command)
        return added

    show = new("show", _show, "print the products as a table")
    show.add_argument("--deleted", action="store_true", help="also show the retired products")
    diff = new("diff", _diff, "compare the catalogue there (--base-url) with another one, here")
    diff.add_argument("other", metavar="OTHER", help="a catalogue file, or the address of an API")
    load_parser = new("load", load, "create and change products so that they are as in a file")
    load_parser.add_argument("file", type=Path, metavar="FILE", help="YAML, JSON or CSV")
    add_load_options(load_parser)
    export = new("export", _export, "write the active products to a file")
    export.add_argument("file", type=Path, metavar="FILE", help="YAML, JSON or CSV, by its ending")
    for name, command, summary in (
        ("retire", _retire, "take products out of the catalogue"),
        ("restore", _restore, "bring retired products back, as they were"),
    ):
        new(name, command, summary).add_argument("ids", metavar="ID", nargs="+")
    history = parser_of("history", "show every change of a product, from the audit bucket")
    _add_history_options(history)
    options = parser.parse_args(arguments)
    if options.name == "history":
        return _exit_code(lambda: _history(options))
    return run(parser, options)


def add_api_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which API to use."""
    parser.add_argument("--base-url", default=os.environ.get("BASE_URL"), help=_BASE_URL_HELP)
    parser.add_argument("--api-key", default="", help=_API_KEY_HELP)


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to load a file."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would happen; the rules of this release validate each product",
    )
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--only-missing",
        action="store_true",
        help="only create products; those that exist, active or retired, stay as they are",
    )
    scope.add_argument(
        "--retire-missing",
        action="store_true",
        help="afterwards retire the active products that the file does not have",
    )


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Run the command in `options.command`, and return the exit code.

    Raises:
        SystemExit: With 2, for invalid arguments.
    """
    if not options.base_url:
        parser.error("an API is needed: set BASE_URL, or give --base-url.")
    command: Command = options.command

    def on_api() -> int:
        api = _client(options.base_url, options.api_key or os.environ.get("API_KEY", ""))
        return command(api, options)

    return _exit_code(on_api)


def _exit_code(command: Callable[[], int]) -> int:
    """Run a command, print why it cannot do what it is asked, and return the exit code."""
    try:
        return command()
    except (ApiUnavailableError, CatalogueError, CatalogueFileError) as error:
        _print_error(error)
        return EXIT_TROUBLE
    except KeyboardInterrupt:
        _print_error("Interrupted.")
        return EXIT_INTERRUPTED


def load(api: ApiClient, options: argparse.Namespace) -> int:
    """Load a file as the options say, and return the exit code.

    Raises:
        ApiUnavailableError: The API sends no usable response before the first product.
        CatalogueError, CatalogueFileError: There is no key, or the file is unusable.
    """
    _require_key(api)
    products = catalogue_file.read(options.file)
    if options.retire_missing and not products:
        raise CatalogueError(
            f"{options.file} has no products, so --retire-missing would retire all of them:"
            " give another file, or retire them by their ids."
        )
    load_one, retire_one = _steps(api, options)
    outcomes: list[Outcome] = []
    try:
        _each("Loading", products, load_one, outcomes)
        if options.retire_missing:
            _require_success(outcomes)
            ids = {product["productId"] for product in products}
            active = _read("Reading the catalogue", active_products(api))
            missing = [product for product in active if product["productId"] not in ids]
            _each("Retiring", missing, retire_one, outcomes)
    except (ApiUnavailableError, CatalogueError, KeyboardInterrupt) as stop:
        return _finish(outcomes, stop)
    return _finish(outcomes)


type Step = Callable[[Product], Outcome]


def _steps(api: ApiClient, options: argparse.Namespace) -> tuple[Step, Step]:
    """Return what to do with each product of the file, and with each that the file lacks."""
    if not options.dry_run:
        load_one = add_product if options.only_missing else load_product
        return partial(load_one, api), partial(retire_product, api)
    retired = {
        product["productId"]
        for product in _read("Reading the retired products", retired_products(api))
    }
    preview = preview_addition if options.only_missing else preview_load
    return partial(preview, api, retired=retired), partial(Outcome, result=Result.WOULD_RETIRE)


def _show(api: ApiClient, options: argparse.Namespace) -> int:
    if options.deleted:
        _require_key(api)
    products = {"active": _read("Reading the catalogue", active_products(api))}
    if options.deleted:
        products["retired"] = _read("Reading the retired products", retired_products(api))
    rows = sorted(
        ((product, status) for status, group in products.items() for product in group),
        key=lambda row: str(row[0]["productId"]),
    )
    _print_table(
        ("Product", "Name", "Price", "Set-up fee", "Currency", "Period", "Status"),
        (
            (
                product["productId"],
                product["name"],
                f"{product['price']:f}",
                "" if product["setupFee"] is None else f"{product['setupFee']:f}",
                product["currency"],
                product["period"],
                status,
            )
            for product, status in rows
        ),
    )
    counts = [f"{len(group)} {status}" for status, group in products.items()]
    print(f"Products: {', '.join(counts)}.")
    return EXIT_DONE


def _diff(api: ApiClient, options: argparse.Namespace) -> int:
    if options.other.startswith(("http://", "https://")):
        # The key belongs to the API there, and must not go to another one.
        other_api = _client(options.other, "")
        here = _by_id(_read("Reading the catalogue here", active_products(other_api)))
    else:
        here = _by_id(catalogue_file.read(Path(options.other)))
    there = _by_id(_read("Reading the catalogue there", active_products(api)))
    is_only_here = bool(here.keys() - there.keys())
    retired: dict[str, Product] = {}
    if is_only_here and api.has_key:
        retired = _by_id(_read("Reading the retired products", retired_products(api)))
    found = list(differences(here, there, retired))
    print(f"There: {api.base_url} (products: {len(there)}).")
    print(f"Here: {options.other} (products: {len(here)}).")
    if not found:
        print("No difference.")
        return EXIT_DONE
    _print_table(
        ("Product", "Name", "Difference (there → here)"),
        ((found.product["productId"], found.product["name"], found.text) for found in found),
    )
    print(f"Differences: {len(found)}.")
    if is_only_here and not api.has_key:
        _print_error(
            "Without an API key, products that are retired there count as only here: set API_KEY."
        )
    return EXIT_DIFFERENT


def _export(api: ApiClient, options: argparse.Namespace) -> int:
    catalogue_file.check_extension(options.file)
    products = _read("Reading the catalogue", active_products(api))
    catalogue_file.write(options.file, products)
    print(f"Products written to {options.file}: {len(products)}.")
    return EXIT_DONE


def _retire(api: ApiClient, options: argparse.Namespace) -> int:
    return _change(api, options.ids, "Retiring", retire_product)


def _restore(api: ApiClient, options: argparse.Namespace) -> int:
    return _change(api, options.ids, "Restoring", restore_product)


def _add_history_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="such as PROD-001")
    parser.add_argument(
        "--environment",
        choices=_DEPLOYMENTS,
        default=os.environ.get("ENVIRONMENT"),
        help="whose audit bucket to read (default: ENVIRONMENT)",
    )
    add_period(parser, "30d")
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="csv has a row for each changed field, for spreadsheets (default: table)",
    )


def _history(options: argparse.Namespace) -> int:
    # The other commands do without boto3.
    from product_tools import audit_history  # noqa: PLC0415

    if options.environment not in _DEPLOYMENTS:  # the variable may have any value
        raise CatalogueError(
            f"An environment is needed ({', '.join(_DEPLOYMENTS)}): set ENVIRONMENT, or give"
            " --environment."
        )
    try:
        since, until = period_of(options)
        bucket = audit_history.AuditBucket(options.environment)
        days = audit_history.days_between(since, until)
        listed = _progress("Looking for changes", bucket.keys(options.id, days), len(days))
        keys = [key for of_day in listed for key in of_day]
        found = list(_progress("Reading changes", bucket.read(options.id, keys), len(keys)))
    except (MomentError, audit_history.HistoryError) as error:
        raise CatalogueError(error) from error
    changes = audit_history.ordered(
        (each for each in found if isinstance(each, Change)), since, until
    )
    match options.format:
        case "csv":
            sys.stdout.write(audit_history.csv_text(changes))
        case "json":
            print(audit_history.json_text(changes))
        case _:
            _print_history(options.id, changes, since, until)
    unread = [each for each in found if not isinstance(each, Change)]
    for each in unread:
        _print_error(each)
    return EXIT_DIFFERENT if unread else EXIT_DONE


def _print_history(
    product_id: str, changes: Sequence[Change], since: datetime, until: datetime
) -> None:
    if changes:
        _print_table(
            ("Time (UTC)", "Version", "Change", "By", "What"),
            (
                (
                    change.changed_at.replace("T", " ").rstrip("Z"),
                    str(change.version),
                    change.kind,
                    change.changed_by or "another program",
                    "\n".join(change.texts),
                )
                for change in changes
            ),
        )
    text = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
    print(f"Changes of {product_id} from {text} (UTC): {len(changes)}.")


def _change(
    api: ApiClient,
    ids: Sequence[str],
    label: str,
    change: Callable[[ApiClient, Product], Outcome],
) -> int:
    _require_key(api)
    outcomes: list[Outcome] = []
    products = [{"productId": product_id} for product_id in dict.fromkeys(ids)]
    try:
        _each(label, products, partial(change, api), outcomes)
    except (ApiUnavailableError, KeyboardInterrupt) as stop:
        return _finish(outcomes, stop)
    return _finish(outcomes)


def _each(label: str, products: Sequence[Product], step: Step, outcomes: list[Outcome]) -> None:
    """Append the outcome of a step for each product; after a stop, the rest is not tried."""
    before = len(outcomes)
    try:
        for product in _progress(label, products):
            outcomes.append(step(product))  # noqa: PERF401 - a stop keeps the outcomes so far
    finally:
        tried = len(outcomes) - before
        outcomes += [Outcome(product, Result.NOT_TRIED) for product in products[tried:]]


def _finish(outcomes: Sequence[Outcome], stop: BaseException | None = None) -> int:
    """Print a table of the outcomes, and why products failed or the command stopped."""
    _print_table(
        ("Product", "Name", "Result"),
        (
            (
                outcome.product["productId"],
                outcome.product.get("name", ""),
                ": ".join(filter(None, (outcome.result, ", ".join(outcome.fields)))),
            )
            for outcome in outcomes
        ),
    )
    counts = Counter(outcome.result for outcome in outcomes)
    numbers = ", ".join(f"{counts[result]} {result}" for result in Result if counts[result])
    if set(counts) <= NO_CHANGES:
        print(f"Nothing to change: {numbers or 'no products'}.")
    else:
        print(f"{numbers}.")
    for outcome in outcomes:
        if outcome.result is Result.FAILED:
            _print_error(f"{outcome.product['productId']} failed: {outcome.reason}")
    if isinstance(stop, KeyboardInterrupt):
        _print_error("Interrupted: run the same command again to do the rest.")
        return EXIT_INTERRUPTED
    if stop:
        _print_error(stop)
    if isinstance(stop, ApiUnavailableError):
        return EXIT_TROUBLE
    return EXIT_DIFFERENT if counts[Result.FAILED] else EXIT_DONE


def _client(base_url: str, api_key: str) -> ApiClient:
    try:
        return ApiClient(base_url, api_key)
    except ValueError as error:
        raise CatalogueError(error) from error


def _require_key(api: ApiClient) -> None:
    if not api.has_key:
        raise CatalogueError("An API key is needed: set API_KEY, or give --api-key.")


def _require_success(outcomes: Sequence[Outcome]) -> None:
    if any(outcome.result is Result.FAILED for outcome in outcomes):
        raise CatalogueError("No product was retired, because products of the file failed.")


def _by_id(products: Iterable[Product]) -> dict[str, Product]:
    return {product["productId"]: product for product in products}


def _read(label: str, products: Iterator[Product]) -> list[Product]:
    return list(_progress(label, products))


def _progress[Thing](
    label: str, things: Iterable[Thing], total: float | None = None
) -> Iterable[Thing]:
    errors = Console(stderr=True)
    return track(
        things, label, total, console=errors, transient=True, disable=not errors.is_terminal
    )


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text, since a name may look like markup
    Console().print(table)


def _print_error(sentence: object) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
