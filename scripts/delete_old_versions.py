#!/usr/bin/env python3
"""Deletes the versions of every function that no alias, roll-back or recent release needs.

Each version that was published with SnapStart costs money while it exists. Traffic does not change.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools.aliases import AliasError, Aliases, lambda_client
from product_tools.arguments import at_least_one
from product_tools.functions import ENVIRONMENTS, event_function_names, function_names
from product_tools.old_versions import DeletionError, Versions, VersionStore

NEWEST = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Delete old versions, and return the exit code: 0 when every old version is deleted."""
    options = _parser().parse_args(arguments)
    try:
        client = lambda_client()
        store = VersionStore(client)
        functions = [
            *function_names(options.environment),
            *Aliases(client).deployed(event_function_names(options.environment)),
        ]
        # Before the first deletion, so that an unfinished shift of one function protects all.
        sorted_versions = [store.sort(function, options.newest) for function in functions]
        is_complete = True
        for versions in sorted_versions:
            is_complete &= _delete(store, versions, dry_run=options.dry_run)
    except AliasError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if is_complete else 1


def _delete(store: VersionStore, versions: Versions, *, dry_run: bool) -> bool:
    """Delete the old versions of one function, and return whether all of them are deleted."""
    is_complete = True
    for version in versions.old:
        if dry_run:
            print(f"{versions.function}: version {version} would be deleted.", flush=True)
            continue
        try:
            store.delete(versions.function, version)
            print(f"{versions.function}: version {version} is deleted.", flush=True)
        except DeletionError as error:
            print(error, file=sys.stderr, flush=True)
            is_complete = False
    print(f"{versions.function}: keeps version {', '.join(versions.needed)}.", flush=True)
    return is_complete


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Deletes versions of the functions that no alias, roll-back or recent release"
        " needs.",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--newest",
        type=at_least_one,
        default=NEWEST,
        metavar="NUMBER",
        help=f"how many of the newest versions stay in any case (default: {NEWEST})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be deleted, and delete nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
