"""Builds the functions as they are deployed: unpacked zips, and AWS's runtime client.

Everything is built for the architecture of this machine.
"""

import importlib.metadata
import platform
import shutil
import sysconfig
import venv
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from product_tools import packages
from tests.support.function_process import Function
from tests.support.workload import FUNCTIONS, OPERATIONS, function_environment

ARCH = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[
    platform.machine()
]
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
TUNING: Mapping[str, str] = {"MALLOC_ARENA_MAX": "1", "TOKIO_WORKER_THREADS": "1"}
"""Environment variables of the deployed functions, besides their settings (terraform/lambda.tf)."""


@dataclass(frozen=True, slots=True)
class Package:
    """A deployment package: its zip, and the folder of its unpacked files."""

    zip_file: Path
    folder: Path

    @property
    def zip_bytes(self) -> int:
        """Return the size of the zip."""
        return self.zip_file.stat().st_size


def our_functions(folder: Path) -> dict[str, Function]:
    """Build and unpack the functions of this service; return them by operation."""
    python = runtime_python(folder / "runtime")
    ours = our_packages(folder)
    return {
        operation: our_function(python, ours[FUNCTIONS[operation]], operation)
        for operation in OPERATIONS
    }


def our_function(python: Path, package: Package, operation: str) -> Function:
    """Return the function of an operation in its unpacked package."""
    return Function(
        python, package.folder, f"product_lambda.handlers.{FUNCTIONS[operation]}.handler"
    )


def deployed_environment(endpoint_url: str, table: str) -> dict[str, str]:
    """Return the environment variables of a deployed function that uses `table`."""
    return {**function_environment(endpoint_url, table), **TUNING}


def runtime_python(folder: Path) -> Path:
    """Create an environment with only AWS's runtime client, and return its interpreter."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = folder / "bin" / "python"
    site_packages = folder / "lib" / "python3.12" / "site-packages"
    copy_distributions(
        packages.distributions_for(["awslambdaric"], SITE_PACKAGES, ARCH), site_packages
    )
    packages.compile_tree(site_packages, beside_source=False)
    return python


def our_packages(folder: Path) -> dict[str, Package]:
    """Build and unpack the zips of this service; return them by function name."""
    zips = packages.build(ARCH, folder / "zips")
    return {each.stem: unpacked(each, folder) for each in zips}


def copy_distributions(
    distributions: Iterable[importlib.metadata.Distribution], folder: Path
) -> None:
    """Copy the files of installed packages, without compiled bytecode."""
    for distribution in distributions:
        for path in distribution.files or ():
            if "__pycache__" not in path.parts and ".." not in path.parts:
                copy = folder / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(SITE_PACKAGES / path, copy)


def unpacked(zip_file: Path, folder: Path) -> Package:
    """Unpack a zip below `folder` and return both."""
    target = folder / "unpacked" / zip_file.stem
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(target)
    return Package(zip_file, target)
