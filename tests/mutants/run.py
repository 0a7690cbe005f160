"""`make mutants`: small faults put into our code one by one, and whether the tests notice each.

It runs mutmut in a copy of the files, and writes what lives on, with the reason, to
docs/reliability.md. What must not be tested at all, it does not decide.
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.engine import Engine
from tests.support.report import RELIABILITY, REPOSITORY, table, write_section

SHARE_TO_KILL = 0.9
_FOLDER = REPOSITORY / ".local" / "mutants"
_COPIED = (".env.example", "benchmarks", "openapi", "pyproject.toml", "schemas", "src", "tests")
_REASONS = Path(__file__).with_name("survivors.json")
_NAME = re.compile(r"^product_lambda\.(?P<module>[\w.]+)\.x_?(?P<function>\w+)__mutmut_\d+$")
_KILLED = frozenset({"killed", "timeout", "segfault", "suspicious", "caught by type check"})


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed: where it is, and the line before and after."""

    place: str
    before: str
    after: str


def main() -> int:
    """Run, write the report, and return 1 where too few died or one lives for no reason."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()

    _copy_files()
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder)) as engine:
        environment = {
            **os.environ,
            "PRODUCT_ENGINE_URL": engine.endpoint_url,
            "PYTHONPATH": str(REPOSITORY),  # for what stays where its own files are
        }
        _mutmut(environment, "run", "--max-children", str(options.processes))
        verdicts = dict(_verdicts(_mutmut(environment, "results", "--all", "true")))
        survivors = [
            _survivor(name, _mutmut(environment, "show", name))
            for name, verdict in verdicts.items()
            if verdict not in _KILLED
        ]
    return _report(verdicts, survivors)


def killed_share(verdicts: dict[str, str]) -> float:
    """The share of the mutants that the tests noticed."""
    return sum(verdict in _KILLED for verdict in verdicts.values()) / len(verdicts)


def reason_for(survivor: Survivor, reasons: list[dict[str, Any]]) -> str | None:
    """Why a mutant may live: the first reason whose place and change fit it."""
    change = f"{survivor.before} => {survivor.after}"
    for each in reasons:
        if re.fullmatch(each["place"], survivor.place) and re.search(each["change"], change):
            return str(each["reason"])
    return None


def _copy_files() -> None:
    """Bring the copy up to date; what mutmut knows of unchanged functions stays."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        source, copy = REPOSITORY / name, _FOLDER / name
        if source.is_file():
            shutil.copy2(source, copy)
        else:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))


def _mutmut(environment: dict[str, str], *arguments: str) -> str:
    ran = subprocess.run(
        [Path(sys.executable).with_name("mutmut"), *arguments],
        cwd=_FOLDER,
        env=environment,
        stdout=subprocess.PIPE if arguments[0] != "run" else None,
        text=True,
        check=True,
    )
    return ran.stdout or ""


def _verdicts(results: str) -> Iterator[tuple[str, str]]:
    for line in results.splitlines():
        name, separator, verdict = line.strip().partition(": ")
        if separator:
            yield name, verdict


def _survivor(name: str, shown: str) -> Survivor:
    changed = [line for line in shown.splitlines() if re.match(r"[-+](?![-+]{2})", line)]
    before = " ".join(line[1:].strip() for line in changed if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in changed if line.startswith("+"))
    return Survivor(_place(name), before, after)


def _place(name: str) -> str:
    """`product_lambda.services.product_service.xǁProductServiceǁget__mutmut_1` for a reader."""
    readable = name.replace("xǁ", "x_").replace("ǁ", "__dot__")
    found = _NAME.match(readable)
    if found is None:
        return name
    return f"{found['module']}.{found['function'].replace('__dot__', '.')}"


def _report(verdicts: dict[str, str], survivors: list[Survivor]) -> int:
    share = killed_share(verdicts)
    reasons: list[dict[str, Any]] = json.loads(_REASONS.read_text(encoding="utf-8"))
    modules: dict[str, collections.Counter[bool]] = collections.defaultdict(collections.Counter)
    for name, verdict in verdicts.items():
        modules[name.split(".")[1]][verdict in _KILLED] += 1
    by_module = table(
        ("layer", "mutants", "killed", "share"),
        [
            (
                layer,
                f"{counts.total():,}",
                f"{counts[True]:,}",
                f"{counts[True]/counts.total():.1%}",
            )
            for layer, counts in sorted(modules.items())
        ],
    )
    explained = [(each, reason_for(each, reasons)) for each in survivors]
    counted = collections.Counter(
        (each.place, reason or "**none given**") for each, reason in explained
    )
    lives = table(
        ("where", "why it may live", "mutants"),
        [(f"`{place}`", reason, str(n)) for (place, reason), n in sorted(counted.items())],
    )
    summary = f"{len(verdicts):,} mutants, of which the tests kill **{share:.1%}**."
    write_section(RELIABILITY, "mutants", f"{summary}\n\n{by_module}\n\n{lives}")
    print(summary.replace("*", ""))
    for each, reason in explained:
        if reason is None:
            print(f"{each.place}\n  - {each.before}\n  + {each.after}")
    unexplained = sum(reason is None for _, reason in explained)
    if unexplained:
        print(
            f"{unexplained} mutants live without a reason: test them, or add it to {_REASONS.name}."
        )
    return 1 if unexplained or share < SHARE_TO_KILL else 0


if __name__ == "__main__":
    sys.exit(main())
