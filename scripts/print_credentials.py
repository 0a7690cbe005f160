#!/usr/bin/env python3
"""Prints the URL and the API key of a deployed API as a shell command that sets them.

`make credentials` runs it. The API key comes from the state, so the output is a secret.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

import environment_check

from product_tools.environment_files import DEPLOYMENTS, EnvironmentFileError
from product_tools.remote_state import RemoteState, RemoteStateError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the command, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        base_url, api_key = RemoteState.of(options.environment).credentials(options.writer)
    except (EnvironmentFileError, RemoteStateError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"export BASE_URL={shlex.quote(base_url)} API_KEY={shlex.quote(api_key)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Prints the URL and API key of a deployed API as a shell command.",
        epilog='Use it as: eval "$(make credentials ENVIRONMENT=dev)"',
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    parser.add_argument("--writer", help="whose API key (by default the first writer's)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
