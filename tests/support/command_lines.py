"""Checks the command lines in workflows and runbooks against the programs that they run."""

import argparse
import importlib
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class ArgumentsParsed(Exception):
    """The program has accepted its arguments; raised to stop it there."""


def options_of(module: str, arguments: list[str]) -> argparse.Namespace:
    """Run a program until it has parsed its arguments, and return its options."""
    options = argparse.Namespace()

    def parse(parser: argparse.ArgumentParser, given: list[str]) -> argparse.Namespace:
        if given == ["--help"]:  # parsing it would print the help and exit
            assert parser.add_help
            raise ArgumentsParsed
        _, unknown = parser.parse_known_args(given, options)
        assert unknown == []
        raise ArgumentsParsed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse)
        with pytest.raises(ArgumentsParsed):
            importlib.import_module(module).main(arguments)
    return options


def check_script(path: str, arguments: list[str]) -> argparse.Namespace:
    """Check that a Python script exists, is executable and accepts its arguments."""
    script = ROOT / path
    assert script.suffix == ".py"
    assert os.access(script, os.X_OK)
    return options_of(script.stem, arguments)


def check_make(arguments: list[str]) -> None:
    """Check that the Makefile has the targets."""
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {name for name in arguments if "=" not in name} <= set(targets)


def check_bootstrap(arguments: list[str]) -> None:
    """Check that scripts/bootstrap.sh accepts the arguments."""
    text = (ROOT / "scripts" / "bootstrap.sh").read_text()
    cases = re.findall(r"^        ([a-z| -]+)\) install", text, re.MULTILINE)
    assert set(arguments) <= {name.strip() for case in cases for name in case.split("|")}
