"""Builds the zip of each Lambda function: its handler, the modules it imports, and their packages.

The contents follow from the imports and from the packages' own metadata; there is no list to keep.
Nothing local, test-only or machine-dependent may get into a zip.
"""

import ast
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import grimp
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from product_tools.repository import REPOSITORY

SOURCES = REPOSITORY / "src"
REQUIREMENTS = REPOSITORY / "requirements.txt"
CACHE = REPOSITORY / ".local" / "packages"
PACKAGE = "product_lambda"
HANDLERS = f"{PACKAGE}.handlers"
# Where Lambda unpacks a function (AWS Lambda Developer Guide, "Working with .zip file archives for
# Python Lambda functions"). Bytecode that names its file so needs no correction when it is loaded.
TASK_ROOT = "/var/task"
# What each architecture is called in wheel names. Lambda's Python 3.12 runs on Amazon Linux 2023,
# whose glibc 2.34 runs wheels made for 2.17 and 2.28.
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC_TAGS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
# Zip's earliest time: the same whenever the zip is built.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# What functions never read of their packages, as patterns of paths; a test fails when one of them
# matches nothing.
UNUSED = (
    "*.pyi",  # types, for type checkers
    "*/py.typed",
    "*/tests/*",
    "pydantic/mypy.py",  # a plugin of mypy
    "pydantic/v1/*",  # Pydantic 1, for models that are still written for it
    "pydynox/testing/*",  # doubles for tests
)


class PackagingError(Exception):
    """A reason why the zips cannot be built, as one sentence for the person at the terminal."""


class Needs(NamedTuple):
    """What one function needs: modules of ours, and top-level names that others provide."""

    modules: frozenset[str]
    imports: frozenset[str]


def handler_names(graph: grimp.ImportGraph) -> list[str]:
    """Return the names of the functions: the modules in `handlers` that define `handler`."""
    return sorted(
        module.rpartition(".")[2]
        for module in graph.find_children(HANDLERS)
        if any(
            isinstance(statement, ast.FunctionDef) and statement.name == "handler"
            for statement in ast.parse(source_of(module).read_bytes()).body
        )
    )


def source_of(module: str, root: Path = SOURCES) -> Path:
    """Return the file of a module of ours, below a folder that holds the package."""
    path = root / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def needs_of(handler: str, graph: grimp.ImportGraph) -> Needs:
    """Follow the imports of a handler, those inside functions and of parent packages included.

    Args:
        handler: the function's name, as in `get_product`.
        graph: the imports of `product_lambda`, without those made for type checking alone.
    """
    modules: set[str] = set()
    imports: set[str] = set()
    pending = [f"{HANDLERS}.{handler}"]
    while pending:
        module = pending.pop()
        if module.split(".")[0] != PACKAGE:
            imports.add(module)
        elif module not in modules:
            modules.add(module)
            pending.extend(graph.find_modules_directly_imported_by(module))
            if "." in module:
                pending.append(module.rpartition(".")[0])
    return Needs(frozenset(modules), frozenset(imports - sys.stdlib_module_names))


def distributions_for(
    imports: Iterable[str], packages: Path, arch: str
) -> list[importlib.metadata.Distribution]:
    """Find the packages that provide the imported names, and what those declare to need in turn.

    Args:
        imports: top-level names, as in `pydynox`.
        packages: the folder that the locked packages are unpacked in.
        arch: the architecture that markers of requirements are evaluated for.

    Raises:
        PackagingError: no locked package provides one of the names.
    """
    available = {
        canonicalize_name(found.name): found
        for found in importlib.metadata.distributions(path=[str(packages)])
    }
    provider = {
        path.parts[0].removesuffix(".py"): name
        for name, found in available.items()
        for path in found.files or ()
    }
    target = {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": MACHINES[arch],
        "platform_system": "Linux",
        "python_version": "3.12",
        "sys_platform": "linux",
    }

    missing = sorted(set(imports) - provider.keys())
    if missing:
        raise PackagingError(
            f"No package in requirements.txt provides {', '.join(missing)}: add it to the"
            " dependencies in pyproject.toml, then run `make requirements`."
        )
    needed: set[str] = set()
    pending = [provider[name] for name in imports]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            for line in available[canonicalize_name(name)].requires or ():
                requirement = Requirement(line)
                if requirement.marker is None or requirement.marker.evaluate(target):
                    pending.append(canonicalize_name(requirement.name))
    return [available[canonicalize_name(name)] for name in sorted(needed)]


def compile_tree(folder: Path, *, beside_source: bool) -> None:
    """Compile a folder's modules to bytecode that Lambda loads without looking at their sources.

    The interpreter that compiles is a bare one with fixed hashing: what else it has loaded would
    show in the bytecode.

    Args:
        folder: what becomes the function's root.
        beside_source: put `x.pyc` beside `x.py`, where it is found without its source, instead of
            into `__pycache__`.

    Raises:
        PackagingError: a module does not compile.
    """
    command = [sys.executable, "-S", "-s", "-P"]
    # A traceback names lines; its marks below them would make every module larger to load.
    command += ["-X", "no_debug_ranges", "-m", "compileall", "-q", "-f"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK_ROOT]
    if beside_source:
        command.append("-b")
    outcome = subprocess.run(
        [*command, str(folder)],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        raise PackagingError(f"A module could not be compiled: {outcome.stdout.strip()}")


def fetch_packages(arch: str) -> Path:
    """Unpack the locked packages for an architecture and compile them, or find that done already.

    Raises:
        PackagingError: the packages are neither on this machine nor to be had.
    """
    made_by = Path(__file__).read_bytes() + platform.python_version().encode()
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + made_by)
    folder = CACHE / f"{arch}-{key.hexdigest()[:16]}"
    if folder.exists():
        return folder

    print(f"Fetching the packages of requirements.txt for {arch} ...", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        unpacked = Path(unfinished) / "packages"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--no-compile", "--retries", "2"]
        command += ["--require-hashes", "--requirement", str(REQUIREMENTS)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.12"]
        for tag in GLIBC_TAGS:
            command += ["--platform", f"{tag}_{MACHINES[arch]}"]
        outcome = subprocess.run(
            [*command, "--target", str(unpacked)], capture_output=True, text=True, check=False
        )
        if outcome.returncode != 0:
            log = CACHE / f"{arch}.log"
            log.write_text(outcome.stdout + outcome.stderr, encoding="utf-8")
            raise PackagingError(
                f"The packages of requirements.txt for {arch} could not be had: check the network,"
                f" then try again (the details are in {os.path.relpath(log)})."
            )
        compile_tree(unpacked, beside_source=True)
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.exists():  # else another build has just made the same
                raise
    return folder


def our_files(modules: Iterable[str], staged: Path) -> Iterator[tuple[str, Path]]:
    """Pair names in the zip with files, for our modules: bytecode, and source for tracebacks."""
    for module in modules:
        source = source_of(module, staged)
        bytecode = (
            source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        )
        for file in (source, bytecode):
            yield file.relative_to(staged).as_posix(), file


def package_files(
    distribution: importlib.metadata.Distribution, packages: Path
) -> Iterator[tuple[str, Path]]:
    """Pair names in the zip with files, for a package: bytecode instead of sources, no tests.

    Their sources would add half a megabyte to a zip, for lines of other people's code in a
    traceback. Of the metadata, `METADATA` alone is shipped: packages look their version up
    there, and Amazon Inspector what to report.
    """
    for path in distribution.files or ():
        inside = PurePosixPath(path)
        in_metadata = inside.parts[0].endswith(".dist-info")
        if (
            ".." in inside.parts  # a command, outside the packages
            or "__pycache__" in inside.parts  # what the installing machine compiled
            or (in_metadata and inside.name != "METADATA")
            or any(fnmatchcase(str(inside), pattern) for pattern in UNUSED)
        ):
            continue
        if inside.suffix == ".py":
            inside = inside.with_suffix(".pyc")
        yield inside.as_posix(), packages / inside


def write_zip(destination: Path, files: Mapping[str, Path]) -> None:
    """Write a zip whose bytes depend on the files' names and contents alone."""
    unfinished = destination.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.create_system = 3  # Unix, on which the mode below is meant
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            archive.writestr(entry, files[name].read_bytes(), zipfile.ZIP_DEFLATED, 9)
    unfinished.replace(destination)


def build(arch: str, out: Path) -> list[Path]:
    """Build the zip of every function and a `SHA256SUMS` file that lists them.

    Args:
        arch: `arm64` or `x86_64`.
        out: the folder to write to; it is made when missing.

    Returns:
        The zips, in the order of their names.

    Raises:
        PackagingError: the zips cannot be built.
    """
    graph = grimp.build_graph(
        PACKAGE,
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )
    packages = fetch_packages(arch)
    out.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder)
        shutil.copytree(
            SOURCES / PACKAGE, staged / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
        )
        compile_tree(staged, beside_source=False)

        def pack(handler: str) -> Path:
            needs = needs_of(handler, graph)
            files = dict(our_files(needs.modules, staged))
            for distribution in distributions_for(needs.imports, packages, arch):
                files.update(package_files(distribution, packages))
            destination = out / f"{handler}.zip"
            write_zip(destination, files)
            return destination

        zips: list[Path] = []
        sums: list[str] = []
        # Threads, since the compressor works outside Python's lock.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for built in pool.map(pack, handler_names(graph)):
                digest = hashlib.sha256(built.read_bytes()).hexdigest()
                megabytes = built.stat().st_size / 1_000_000
                print(f"{built.name:<20} {megabytes:5.2f} MB  sha256 {digest}", flush=True)
                zips.append(built)
                sums.append(f"{digest}  {built.name}\n")
    (out / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    return zips
