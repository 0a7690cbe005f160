#!/usr/bin/env python3
"""Checks a release before its deployment to production: its tag, its version and a confirmation.

A release is a tag such as v1.2.3 on main; pyproject.toml and CHANGELOG.md must have its version.
This command needs only Python and git.
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
# Semantic Versioning 2.0.0, without pre-releases: production gets none of them.
TAG = re.compile(r"refs/tags/v(?P<version>(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2})")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Check a release, print every error, and return the exit code."""
    options = _parser().parse_args(arguments)
    errors = list(_errors(options.ref, options.confirmation, root))
    for error in errors:
        print(error, file=sys.stderr)
    if not errors:
        print(f"{options.ref} is a release: the release checks passed.")
    return 1 if errors else 0


def _errors(ref: str, confirmation: str, root: Path) -> Iterator[str]:
    if confirmation != CONFIRMATION:
        yield f"The confirmation is not {CONFIRMATION}: start the run again and type exactly that."
    tag = TAG.fullmatch(ref)
    if tag is None:
        yield (
            f"{ref} is not a release tag: start the run again and choose a tag such as v1.2.3"
            " under 'Use workflow from'."
        )
        return
    version = tag["version"]
    pyproject = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    project_version = pyproject["project"]["version"]
    if project_version != version:
        yield (
            f"The tag says {version}, but pyproject.toml says {project_version}: tag the commit"
            " that changed the version (docs/releasing.md)."
        )
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)}(?: |$)", changelog, re.MULTILINE):
        yield (
            f"CHANGELOG.md has no section {version}: make a new release with this section"
            " (docs/releasing.md)."
        )
    ancestry = subprocess.run(
        ["git", "merge-base", "--is-ancestor", ref, "origin/main"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if ancestry.returncode:
        yield f"{ref} is not on main: merge the release first, then tag the merged commit."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks a release before its deployment to production."
    )
    parser.add_argument("--ref", required=True, help="the full ref, such as refs/tags/v1.2.3")
    parser.add_argument("--confirmation", required=True, help=f"must be {CONFIRMATION}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
