"""Builds what is measured: our zips, the peers' zips in the same way, and the runtime environment.

Everything is made for this machine and unpacked as Lambda unpacks it.
"""

import importlib.metadata
import platform
import shutil
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts import package_lambdas

REPOSITORY = Path(__file__).resolve().parents[1]
ARCH = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[
    platform.machine()
]
_PEER_MODULES = Path(__file__).parent / "peers"
_SITE_PACKAGES = Path(sysconfig.get_path("purelib"))


@dataclass(frozen=True, slots=True)
class Package:
    """A deployment package: its zip, and the folder it is unpacked in."""

    zip_file: Path
    folder: Path

    @property
    def zip_bytes(self) -> int:
        """The size of the zip."""
        return self.zip_file.stat().st_size


def runtime_python(folder: Path) -> Path:
    """Make an environment that holds AWS's runtime client alone; return its interpreter."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = folder / "bin" / "python"
    site_packages = folder / "lib" / "python3.12" / "site-packages"
    _copy(package_lambdas.distributions_for(["awslambdaric"], _SITE_PACKAGES, ARCH), site_packages)
    package_lambdas.compile_tree(site_packages, beside_source=False)
    return python


def our_packages(folder: Path) -> dict[str, Package]:
    """Build and unpack our zips; by the function's name."""
    zips = package_lambdas.build(ARCH, folder / "zips")
    return {each.stem: _unpacked(each, folder) for each in zips}


def peer_package(name: str, imports: Iterable[str], folder: Path) -> Package:
    """Build and unpack a peer's zip: its modules, and the packages that provide `imports`."""
    zip_file = folder / "zips" / f"{name}.zip"
    zip_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary)
        distributions = package_lambdas.distributions_for(imports, _SITE_PACKAGES, ARCH)
        _copy(distributions, staged)
        for source in (_PEER_MODULES.parent / "__init__.py", *_PEER_MODULES.glob("*.py")):
            copy = staged / source.relative_to(REPOSITORY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        package_lambdas.compile_tree(staged, beside_source=True)
        files = {
            file.relative_to(staged).as_posix(): file
            for file in (staged / "benchmarks").rglob("*.pyc")
        }
        for distribution in distributions:
            files.update(package_lambdas.package_files(distribution, staged))
        package_lambdas.write_zip(zip_file, files)
    return _unpacked(zip_file, folder)


def _copy(distributions: Iterable[importlib.metadata.Distribution], folder: Path) -> None:
    """Copy what packages are made of, but for what this machine has compiled."""
    for distribution in distributions:
        for path in distribution.files or ():
            if "__pycache__" not in path.parts and ".." not in path.parts:
                copy = folder / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_SITE_PACKAGES / path, copy)


def _unpacked(zip_file: Path, folder: Path) -> Package:
    target = folder / "unpacked" / zip_file.stem
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(target)
    return Package(zip_file, target)
