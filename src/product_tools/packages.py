"""Builds the zip of each Lambda function: its handler, the modules it imports, and their packages.

The imports and the metadata of the packages decide what a zip contains; no list has to be kept.
A zip contains nothing that is local, for tests only, or dependent on this machine. A zip is built
again only if its inputs or its bytes have changed.
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
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
BUILT = "built"  # folder in CACHE: a file for each set of inputs, with the SHA-256 of its zip
KEPT = "zips"  # folder in CACHE: the last zip of each function, to be copied into other folders
PACKAGE = "product_lambda"
HANDLERS = (f"{PACKAGE}.handlers", f"{PACKAGE}.event_handlers")
# What Lambda's runtime has already (AWS Lambda Developer Guide, "Building Lambda functions with
# Python").
PROVIDED = frozenset({"botocore"})
# Where Lambda unpacks a function (AWS Lambda Developer Guide, "Working with .zip file archives for
# Python Lambda functions"). Bytecode with this path needs no correction when Python loads it.
TASK_ROOT = "/var/task"
# The architectures, and their names in wheels. Lambda's Python 3.12 runs on Amazon Linux 2023,
# whose glibc 2.34 runs wheels for 2.17 and 2.28.
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC_TAGS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
# The earliest time that a zip can hold, so that each build gives the same bytes.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# Patterns of package files that functions never read; a test fails when a pattern matches nothing.
UNUSED = (
    "*.pyi",  # types, for type checkers
    "*/py.typed",
    "*/tests/*",
    "pydantic/mypy.py",  # a plugin of mypy
    "pydantic/v1/*",  # Pydantic 1, for old models
    "pydynox/testing/*",  # test doubles
)


class PackagingError(Exception):
    """The zips cannot be built; the text is a sentence with the reason and the next step."""


class Needs(NamedTuple):
    """The imports of one function.

    Attributes:
        modules: modules of this repository.
        imports: top-level names that packages in the zip provide.
    """

    modules: frozenset[str]
    imports: frozenset[str]


def handler_modules(graph: grimp.ImportGraph) -> list[str]:
    """Return the modules of the functions, which define `handler`, by the names of the functions.

    A function has the name of its module, without the packages that contain it.
    """
    return sorted(
        (
            module
            for package in HANDLERS
            for module in graph.find_children(package)
            if any(
                isinstance(statement, ast.FunctionDef) and statement.name == "handler"
                for statement in ast.parse(source_of(module).read_bytes()).body
            )
        ),
        key=function_of,
    )


def function_of(module: str) -> str:
    """Return the function of a module, such as `get_product`."""
    return module.rpartition(".")[2]


def source_of(module: str, root: Path = SOURCES) -> Path:
    """Return the file of a module of this repository, below the folder of its package."""
    path = root / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def needs_of(handler: str, graph: grimp.ImportGraph) -> Needs:
    """Return all imports of a handler, also those inside functions and of parent packages.

    Args:
        handler: the module, for example `product_lambda.handlers.get_product`.
        graph: the imports of `product_lambda`, without those for type checking only.
    """
    modules: set[str] = set()
    imports: set[str] = set()
    pending = [handler]
    while pending:
        module = pending.pop()
        if module.split(".")[0] != PACKAGE:
            imports.add(module)
        elif module not in modules:
            modules.add(module)
            pending.extend(graph.find_modules_directly_imported_by(module))
            if "." in module:
                pending.append(module.rpartition(".")[0])
    return Needs(frozenset(modules), frozenset(imports - sys.stdlib_module_names - PROVIDED))


def distributions_for(
    imports: Iterable[str], packages: Path, arch: str
) -> list[importlib.metadata.Distribution]:
    """Return the packages that provide the imported names, and the packages that those require.

    Args:
        imports: top-level names, for example `pydynox`.
        packages: the folder of the unpacked, locked packages.
        arch: the architecture for the markers of requirements.

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
    """Compile a folder's modules to bytecode that Lambda loads without a check of the sources.

    A bare interpreter with fixed hashing compiles them, since other loaded modules would change
    the bytecode.

    Args:
        folder: the future root folder of the function.
        beside_source: write `x.pyc` beside `x.py` instead of into `__pycache__`, so that Python
            loads it without its source.

    Raises:
        PackagingError: a module does not compile.
    """
    command = [sys.executable, "-S", "-s", "-P"]
    # Without column positions, which tracebacks show and which make each module larger.
    command += ["-X", "no_debug_ranges", "-m", "compileall", "-q", "-f"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK_ROOT]
    if beside_source:
        command.append("-b")
    completed = subprocess.run(
        [*command, str(folder)],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise PackagingError(f"A module could not be compiled: {completed.stdout.strip()}")


def builder() -> bytes:
    """Return what turns inputs into bytes: this code, Python's compiler and the compressor."""
    versions = f"{platform.python_version()} {zlib.ZLIB_RUNTIME_VERSION}"
    return Path(__file__).read_bytes() + versions.encode()


def packages_folder(arch: str) -> Path:
    """Return where the locked packages for an architecture are, or will be."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + builder())
    return CACHE / f"{arch}-{key.hexdigest()[:16]}"


def fetch_packages(arch: str) -> Path:
    """Download, unpack and compile the locked packages for an architecture, once.

    Returns:
        The folder of the packages.

    Raises:
        PackagingError: the packages cannot be downloaded.
    """
    folder = packages_folder(arch)
    if folder.exists():
        return folder

    print(f"Downloading the packages of requirements.txt for {arch} ...", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        unpacked = Path(unfinished) / "packages"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--no-compile", "--retries", "2"]
        command += ["--require-hashes", "--requirement", str(REQUIREMENTS)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.12"]
        for tag in GLIBC_TAGS:
            command += ["--platform", f"{tag}_{MACHINES[arch]}"]
        completed = subprocess.run(
            [*command, "--target", str(unpacked)], capture_output=True, text=True, check=False
        )
        if completed.returncode != 0:
            log = CACHE / f"{arch}.log"
            log.write_text(completed.stdout + completed.stderr, encoding="utf-8")
            raise PackagingError(
                f"The packages of requirements.txt for {arch} could not be downloaded: check the"
                f" network, then try again (the details are in {os.path.relpath(log)})."
            )
        compile_tree(unpacked, beside_source=True)
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another build has just made the same folder
                raise
    return folder


def module_files(modules: Iterable[str], staged: Path) -> Iterator[tuple[str, Path]]:
    """Pair names in the zip with files, for modules of this repository.

    Bytecode goes into the zip, and the source for tracebacks.
    """
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
    """Pair names in the zip with files, for a package: bytecode without sources and tests.

    The sources of packages would add half a megabyte to a zip, only for lines in tracebacks. Of
    the metadata only `METADATA` goes into the zip: packages read their version there, and Amazon
    Inspector reads what to report.
    """
    for listed in distribution.files or ():
        path = PurePosixPath(listed)
        is_metadata = path.parts[0].endswith(".dist-info")
        if (
            ".." in path.parts  # a command, outside the packages
            or "__pycache__" in path.parts  # bytecode of the installing machine
            or (is_metadata and path.name != "METADATA")
            or any(fnmatchcase(str(path), pattern) for pattern in UNUSED)
        ):
            continue
        if path.suffix == ".py":
            path = path.with_suffix(".pyc")
        yield path.as_posix(), packages / path


def write_zip(destination: Path, files: Mapping[str, Path]) -> None:
    """Write a zip whose bytes depend only on the names and contents of the files."""
    unfinished = destination.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.create_system = 3  # Unix, which defines the mode below
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            archive.writestr(entry, files[name].read_bytes(), zipfile.ZIP_DEFLATED, 9)
    unfinished.replace(destination)


class Zip(NamedTuple):
    """A zip that a build writes or keeps.

    Attributes:
        path: the file.
        modules: the modules of this repository in it.
        distributions: the packages in it.
        record: a file that holds the SHA-256 of the zip which these inputs give; its name is the
            digest of the inputs.
        kept: a file with the zip of the last build of this function, of these inputs or others.
    """

    path: Path
    modules: Sequence[str]
    distributions: Sequence[importlib.metadata.Distribution]
    record: Path
    kept: Path

    def is_current(self) -> bool:
        """Return whether the file has the bytes that a build of its inputs has given."""
        return self._is_built(self.path)

    def is_kept(self) -> bool:
        """Return whether the kept file has the bytes that a build of its inputs has given."""
        return self._is_built(self.kept)

    def _is_built(self, path: Path) -> bool:
        return (
            self.record.exists()
            and path.exists()
            and self.record.read_text(encoding="ascii") == sha256_of(path)
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy_at_once(source: Path, destination: Path) -> None:
    """Copy a file so that the destination has all of its bytes, or its former ones.

    Builds that run at the same time may copy to the same destination.
    """
    destination.parent.mkdir(exist_ok=True)
    unfinished = destination.with_suffix(f".{os.getpid()}.part")
    shutil.copyfile(source, unfinished)
    unfinished.replace(destination)


def digest_of_inputs(
    arch: str,
    modules: Iterable[str],
    distributions: Iterable[importlib.metadata.Distribution],
    sources: Path,
) -> str:
    """Return a digest of all that decides the bytes of a zip.

    Args:
        arch: the architecture.
        modules: the modules of this repository, in the order of their names.
        distributions: the packages; the `RECORD` of a package has the hash of each of its files.
        sources: the folder of the package `product_lambda`.
    """
    inputs = [builder(), arch.encode()]
    for module in modules:
        inputs += [module.encode(), source_of(module, sources).read_bytes()]
    for distribution in distributions:
        inputs.append((distribution.read_text("RECORD") or "").encode())
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def build(arch: str, out: Path) -> list[Path]:
    """Build the zip of every function where it is not current, and a `SHA256SUMS` of all.

    A zip that a build has written into another folder is copied.

    Args:
        arch: `arm64` or `x86_64`.
        out: the folder to write to; it is created when missing.

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

        def planned(handler: str) -> Zip:
            needs = needs_of(handler, graph)
            modules = sorted(needs.modules)
            distributions = distributions_for(needs.imports, packages, arch)
            inputs = digest_of_inputs(arch, modules, distributions, staged)
            name = f"{function_of(handler)}.zip"
            record, kept = CACHE / BUILT / inputs, CACHE / KEPT / f"{arch}-{name}"
            return Zip(out / name, modules, distributions, record, kept)

        zips = [planned(handler) for handler in handler_modules(graph)]
        missing = [each for each in zips if not each.is_current()]
        copied = [each for each in missing if each.is_kept()]
        outdated = [each for each in missing if each not in copied]
        for each in copied:
            copy_at_once(each.kept, each.path)
        if outdated:
            compile_tree(staged, beside_source=False)

        def pack(each: Zip) -> None:
            files = dict(module_files(each.modules, staged))
            for distribution in each.distributions:
                files.update(package_files(distribution, packages))
            write_zip(each.path, files)
            each.record.parent.mkdir(exist_ok=True)
            each.record.write_text(sha256_of(each.path), encoding="ascii")
            copy_at_once(each.path, each.kept)

        # Threads are enough: the compressor releases Python's global lock.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(pack, outdated))

    sums: list[str] = []
    for each in zips:
        digest = sha256_of(each.path)
        megabytes = each.path.stat().st_size / 1_000_000
        state = "built" if each in outdated else "copied" if each in copied else "unchanged"
        print(f"{each.path.name:<20} {megabytes:5.2f} MB  sha256 {digest}  {state}", flush=True)
        sums.append(f"{digest}  {each.path.name}\n")
    (out / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    return [each.path for each in zips]
