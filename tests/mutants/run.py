"""`make mutants`: changes the code in one place at a time, and runs the tests for each mutant.

It runs mutmut in a copy of the files, and writes the counts to docs/reliability.md. A survivor is a
mutant that no test detects; survivors.json gives the reason for each. Its entries have:

- functions: the functions with such survivors, by their names below `product_lambda`;
- change: a regular expression for "lines before => lines after";
- reason: why no test needs to detect the change.

The reasons are not next to the code, because mutmut's comments exclude whole lines or blocks.
"""

import argparse
import ast
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.dynamodb_local import dynamodb_local
from local.engine import Engine
from product_tools.repository import REPOSITORY
from tests.support.report import FIGURES, RELIABILITY, table, write_section

MIN_KILLED_SHARE = 0.95
_FOLDER = REPOSITORY / ".local" / "mutants"
_COPIED = (".env.example", "benchmarks", "openapi", "pyproject.toml", "schemas", "src", "tests")
_REASONS = Path(__file__).with_name("survivors.json")
_NAME = re.compile(r"^product_lambda\.(?P<module>[\w.]+)\.x_?(?P<function>\w+)__mutmut_\d+$")
_KILLED = frozenset({"killed", "timeout", "segfault", "suspicious", "caught by type check"})


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test detects.

    Attributes:
        function: its name below `product_lambda`, such as `utils.request.parse_event`.
        before: the changed lines of the code.
        after: the lines of the mutant.
    """

    function: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for some survivors; an entry of survivors.json."""

    functions: tuple[str, ...]
    change: str
    reason: str

    def explains(self, survivor: Survivor) -> bool:
        """Whether the function and the change of a survivor match."""
        change = f"{survivor.before} => {survivor.after}"
        return survivor.function in self.functions and bool(re.search(self.change, change))


def main() -> int:
    """Test all mutants, and return 1 when too many survive or one survives without a reason.

    Raises:
        SystemExit: survivors.json names a function that does not exist.
    """
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--processes",
        type=int,
        default=2 * (os.cpu_count() or 1),  # some mutants only wait
        help="number of parallel processes",
    )
    options = parser.parse_args()

    reasons = read_reasons()
    if missing := missing_functions(reasons):
        raise SystemExit(
            f"{_REASONS.name} names missing functions: {', '.join(missing)}."
            " Correct their names, or delete their entries."
        )
    _copy_files()
    with (
        tempfile.TemporaryDirectory() as folder,
        Engine(Path(folder)) as engine,
        dynamodb_local() as dynamodb_local_url,
    ):
        engine.save_nothing()
        environment = {
            **os.environ,
            "PRODUCT_ENGINE_URL": engine.endpoint_url,
            "PRODUCT_DYNAMODB_LOCAL_URL": dynamodb_local_url,
            "PYTHONPATH": str(REPOSITORY),  # for packages outside the copy
            # One process for each mutant: none should compile what another has compiled.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        _mutmut(environment, "run", "--max-children", str(options.processes))
        verdicts = dict(_verdicts(_mutmut(environment, "results", "--all", "true")))
        survivors = [
            _survivor(name, _mutmut(environment, "show", name))
            for name, verdict in verdicts.items()
            if verdict not in _KILLED
        ]
    return _report(verdicts, survivors, reasons)


def killed_share(verdicts: dict[str, str]) -> float:
    """Return the share of mutants that the tests detect."""
    return sum(verdict in _KILLED for verdict in verdicts.values()) / len(verdicts)


def read_reasons() -> list[Reason]:
    """Return the entries of survivors.json."""
    return [
        Reason(tuple(entry["functions"]), entry["change"], entry["reason"])
        for entry in json.loads(_REASONS.read_text(encoding="utf-8"))
    ]


def missing_functions(reasons: Sequence[Reason]) -> list[str]:
    """Return the functions that reasons name but the code does not have."""
    existing = set(_functions(REPOSITORY / "src" / "product_lambda"))
    return sorted({each for reason in reasons for each in reason.functions} - existing)


def _functions(package: Path) -> Iterator[str]:
    """Yield the names below `package` of its functions and methods."""
    for file in package.rglob("*.py"):
        module = ".".join(file.relative_to(package).with_suffix("").parts)
        for node in ast.parse(file.read_bytes()).body:
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{node.name}"
            if isinstance(node, ast.ClassDef):
                methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
                yield from (f"{module}.{node.name}.{method.name}" for method in methods)


def _copy_files() -> None:
    """Update the copy; results of mutmut for unchanged functions stay."""
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
    return Survivor(_function(name), before, after)


def _function(name: str) -> str:
    """Return the name of a mutant's function.

    For `product_lambda.repositories.search_index.xǁSearchIndexǁput__mutmut_1` it is
    `repositories.search_index.SearchIndex.put`.
    """
    readable = name.replace(".xǁ", ".x_").replace("ǁ", "__dot__")
    found = _NAME.match(readable)
    if found is None:
        return name
    return f"{found['module']}.{found['function'].replace('__dot__', '.')}"


def _report(
    verdicts: dict[str, str], survivors: Sequence[Survivor], reasons: Sequence[Reason]
) -> int:
    share = killed_share(verdicts)
    explained = [
        (survivor, next((each for each in reasons if each.explains(survivor)), None))
        for survivor in survivors
    ]
    summary = f"{len(verdicts):,} mutants; the tests detect **{share:.1%}**."
    write_section(RELIABILITY, "mutants", f"{summary}\n\n{_layer_table(verdicts)}")
    write_section(FIGURES, "mutants", _survivor_table(explained))
    print(summary.replace("*", ""))

    used = {reason for _, reason in explained}
    for unused in (reason for reason in reasons if reason not in used):
        print(f"No survivor matches this entry of {_REASONS.name}, delete it: {unused}")
    unexplained = [survivor for survivor, reason in explained if reason is None]
    for survivor in unexplained:
        print(f"{survivor.function}\n  - {survivor.before}\n  + {survivor.after}")
    if unexplained:
        print(
            f"{len(unexplained)} mutants survive without a reason: add a test for each, or a reason"
            f" to {_REASONS.name}."
        )
    return 1 if unexplained or share < MIN_KILLED_SHARE else 0


def _layer_table(verdicts: dict[str, str]) -> str:
    layers: dict[str, collections.Counter[bool]] = collections.defaultdict(collections.Counter)
    for name, verdict in verdicts.items():
        layers[name.split(".")[1]][verdict in _KILLED] += 1
    return table(
        ("layer", "mutants", "detected", "share"),
        [
            (
                layer,
                f"{counts.total():,}",
                f"{counts[True]:,}",
                f"{counts[True] / counts.total():.1%}",
            )
            for layer, counts in sorted(layers.items())
        ],
    )


def _survivor_table(explained: Sequence[tuple[Survivor, Reason | None]]) -> str:
    counts = collections.Counter(
        f"`{survivor.function}`: {reason.reason if reason else '**no reason**'}"
        for survivor, reason in explained
    )
    rows = [(text, str(count)) for text, count in sorted(counts.items())]
    return table(("survivors, and why no test needs to detect them", "count"), rows)


if __name__ == "__main__":
    sys.exit(main())
