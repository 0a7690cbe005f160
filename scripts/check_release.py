#!/usr/bin/env python3
"""Checks that what goes to production is a release, and that a person has typed that it shall.

It needs nothing but Python and git. A release is a tag like v1.2.3 on main, whose version stands in
pyproject.toml and has a section in CHANGELOG.md.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIRMATION = "DEPLOY-TO-PROD"
# Semantic Versioning 2.0.0, without pre-releases: those do not go to production.
TAG = re.compile(r"refs/tags/v(?P<version>(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2})")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Check what the command line gives, name every fault, and return the exit code."""
    options = _parser().parse_args(arguments)
    faults = list(_faults(options.ref, options.confirmation, root))
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{options.ref} is a release, and it shall go to production.")
    return 1 if faults else 0


def _faults(ref: str, confirmation: str, root: Path) -> Iterator[str]:
    if confirmation != CONFIRMATION:
        yield f"The confirmation is not {CONFIRMATION}: start the run again and type exactly that."
    tag = TAG.fullmatch(ref)
    if tag is None:
        yield (
            f"{ref} is no release tag: start the run again and choose a tag such as v1.2.3 under"
            " 'Use workflow from'."
        )
        return
    version = tag["version"]
    stated = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if stated != version:
        yield (
            f"The tag says {version}, and pyproject.toml says {stated}: tag the commit that"
            " changed the version (docs/releasing.md)."
        )
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)}(?: |$)", changelog, re.MULTILINE):
        yield (
            f"CHANGELOG.md has no section {version}: release again with one (docs/releasing.md)."
        )
    on_main = subprocess.run(
        ["git", "merge-base", "--is-ancestor", ref, "origin/main"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if on_main.returncode:
        yield f"{ref} is not on main: merge the release first, then tag the merged commit."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Checks a release before it goes to production.")
    parser.add_argument("--ref", required=True, help="the full ref, as refs/tags/v1.2.3")
    parser.add_argument("--confirmation", required=True, help=f"must be {CONFIRMATION}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
