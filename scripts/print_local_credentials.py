#!/usr/bin/env python3
"""Prints shell commands with which the commands of the runbooks work on the local deployment.

`make credentials-local` runs it. In a shell with these settings, no command reaches a real account.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import environment_check

from local.deployment import DEPLOYMENT_FOLDER, DESCRIPTION_FILE, read_description
from local.engine import CREDENTIALS
from local.errors import LocalError
from local.stack import LocalStack, architecture, features_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the commands, and return the exit code."""
    _parser().parse_args(arguments)
    try:
        settings = _settings()
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    print("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _settings() -> Mapping[str, str]:
    """Return environment variables for the commands of the runbooks.

    Raises:
        LocalError: there is no local deployment, or its engine does not run.
    """
    description = read_description(DESCRIPTION_FILE)
    stack = LocalStack(DEPLOYMENT_FOLDER, features=features_from(description.get("features", "")))
    no_proxy = filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1"])
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_REGION": description["region"],
        "AWS_DEFAULT_REGION": description["region"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": ",".join(no_proxy),
        "TF_CLI_ARGS_init": " ".join(_init_options()),
        **{f"TF_VAR_{name}": _text_of(value) for name, value in stack.local_values().items()},
        "ARCH": architecture(),
        "ENVIRONMENT": description["environment"],
        "BASE_URL": description["baseUrl"],
        "API_KEY": description["apiKey"],
    }


def _init_options() -> Iterator[str]:
    """Yield the options of `terraform init` on this machine."""
    yield "-backend-config=use_path_style=true"  # the emulator reads a bucket's name in the path
    if mirror := os.environ.get("TF_PLUGIN_DIR"):
        yield f"-plugin-dir={Path(mirror).resolve()}"


def _text_of(value: object) -> str:
    """Return a value as Terraform reads it from an environment variable."""
    return value if isinstance(value, str) else json.dumps(value)


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description="Prints shell commands for runbooks on the local deployment.",
        epilog='Use it in a shell of its own: eval "$(make credentials-local)"',
    )


if __name__ == "__main__":
    sys.exit(main())
