"""Builds the zips of the peers in the same way as the zips of this service."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from product_tools import packages
from product_tools.repository import REPOSITORY
from tests.support.deployed_functions import (
    ARCH,
    SITE_PACKAGES,
    Package,
    copy_distributions,
    unpacked,
)

_PEER_MODULES = Path(__file__).parent / "peers"


def peer_package(name: str, imports: Iterable[str], folder: Path) -> Package:
    """Build and unpack the zip of a peer, with all peer modules and the packages it imports.

    Args:
        name: the name of the zip, without its suffix.
        imports: the packages, by the names under which the peer imports them.
        folder: where to build and unpack.
    """
    zip_file = folder / "zips" / f"{name}.zip"
    zip_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary)
        distributions = packages.distributions_for(imports, SITE_PACKAGES, ARCH)
        copy_distributions(distributions, staged)
        for source in (_PEER_MODULES.parent / "__init__.py", *_PEER_MODULES.glob("*.py")):
            copy = staged / source.relative_to(REPOSITORY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        packages.compile_tree(staged, beside_source=True)
        files = {
            file.relative_to(staged).as_posix(): file
            for file in (staged / "benchmarks").rglob("*.pyc")
        }
        for distribution in distributions:
            files.update(packages.package_files(distribution, staged))
        packages.write_zip(zip_file, files)
    return unpacked(zip_file, folder)
