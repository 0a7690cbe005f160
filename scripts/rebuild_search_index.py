#!/usr/bin/env python3
"""Builds the search index anew from the catalogue of a product API, and moves the alias to it."""

import argparse
import os
import sys
from collections.abc import Sequence

import environment_check

from rich.console import Console

from product_lambda.models import search_document
from product_tools.api_client import ApiClient, ApiUnavailableError
from product_tools.search_cluster import SearchCluster, SearchClusterError
from product_tools.search_rebuild import SETTLE_SECONDS, Progress, Rebuild, RebuildError

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Rebuild the index, show the progress, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.base_url:
        parser.error("an API is needed: set BASE_URL, or give --base-url.")
    if not options.endpoint:
        parser.error("an OpenSearch domain is needed: set OPENSEARCH_URL, or give --endpoint.")
    try:
        _rebuild(options)
    except (ApiUnavailableError, RebuildError, SearchClusterError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: searches find what they found before.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _rebuild(options: argparse.Namespace) -> None:
    api = ApiClient(options.base_url, os.environ.get("API_KEY", ""))
    cluster = SearchCluster(options.endpoint)
    rebuild = Rebuild(cluster, api, search_document, options.settle)
    console = Console(highlight=False, soft_wrap=True)
    with console.status("Starting") as status:

        def show(progress: Progress) -> None:
            text = f"{progress.name}: {progress.step}, {progress.documents:,} documents stored"
            status.update(text)
            if not console.is_terminal:
                console.print(text)

        documents = rebuild.run(show, discard=options.discard)
    console.print(f"{rebuild.index} is searched from now on, with {documents:,} documents.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Builds the search index anew from the catalogue of a product API.",
        epilog="API_KEY must be set: it is needed for the deleted products. Until the new index is"
        " complete, searches use the former one, and changes reach both. After a failure or an"
        " interruption the new index is deleted: start the command again.",
    )
    parser.add_argument(
        "--base-url",
        default=os.environ.get("BASE_URL"),
        help="address of the API, up to just before /products (default: BASE_URL)",
    )
    parser.add_argument(
        "--endpoint",
        default=os.environ.get("OPENSEARCH_URL"),
        metavar="URL",
        help="endpoint of the OpenSearch domain (default: OPENSEARCH_URL)",
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=SETTLE_SECONDS,
        metavar="SECONDS",
        help="how long to wait until the function writes to both indexes; less than 9 seconds may"
        f" lose changes (default: {SETTLE_SECONDS:g})",
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        help="delete the index of a rebuild that was interrupted",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
