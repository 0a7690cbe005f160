"""Checks command lines that workflows and runbooks give against the programs that take them."""

import argparse
import importlib
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Parsed(Exception):
    """The arguments were taken."""


def options_of(module: str, arguments: list[str]) -> argparse.Namespace:
    """Let a program parse its arguments, and go no further."""
    options = argparse.Namespace()

    def parse(parser: argparse.ArgumentParser, given: list[str]) -> argparse.Namespace:
        _, unknown = parser.parse_known_args(given, options)
        assert unknown == []
        raise Parsed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse)
        with pytest.raises(Parsed):
            importlib.import_module(module).main(arguments)
    return options


def check_script(path: str, arguments: list[str]) -> argparse.Namespace:
    """Check that a Python script exists, can be started and takes its arguments."""
    script = ROOT / path
    assert script.suffix == ".py"
    assert os.access(script, os.X_OK)
    return options_of(script.stem, arguments)


def check_make(arguments: list[str]) -> None:
    """Check that `make` has the targets."""
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {name for name in arguments if "=" not in name} <= set(targets)


def check_bootstrap(arguments: list[str]) -> None:
    """Check that scripts/bootstrap.sh knows the environments."""
    text = (ROOT / "scripts" / "bootstrap.sh").read_text()
    cases = re.findall(r"^        ([a-z| -]+)\) install", text, re.MULTILINE)
    assert set(arguments) <= {name.strip() for case in cases for name in case.split("|")}
