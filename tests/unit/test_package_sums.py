"""The checksums of the zips, from `make package` to Lambda."""

import base64
import hashlib
from pathlib import Path

import pytest

from product_tools.package_sums import PackageSumsError, checked_packages, lambda_checksum


def write_package(folder: Path, content: bytes = b"a zip") -> str:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "get_product.zip").write_bytes(content)
    (folder / "SHA256SUMS").write_text(f"{digest}  get_product.zip\n")
    return digest


def test_unchanged_zips_are_returned(tmp_path: Path) -> None:
    digest = write_package(tmp_path)

    assert checked_packages(tmp_path) == {"get_product": digest}


def test_changed_zip_is_rejected(tmp_path: Path) -> None:
    write_package(tmp_path)
    (tmp_path / "get_product.zip").write_bytes(b"another")

    with pytest.raises(PackageSumsError, match=r"get_product\.zip .* do not agree"):
        checked_packages(tmp_path)


def test_missing_zip_is_rejected(tmp_path: Path) -> None:
    write_package(tmp_path)
    (tmp_path / "get_product.zip").unlink()

    with pytest.raises(PackageSumsError, match=r"get_product\.zip"):
        checked_packages(tmp_path)


def test_unlisted_zip_is_rejected(tmp_path: Path) -> None:
    write_package(tmp_path)
    (tmp_path / "extra.zip").write_bytes(b"not listed")

    with pytest.raises(PackageSumsError, match=r"extra\.zip"):
        checked_packages(tmp_path)


def test_missing_packages_name_next_step(tmp_path: Path) -> None:
    with pytest.raises(PackageSumsError, match="make package"):
        checked_packages(tmp_path)


def test_lambda_checksum_is_base64_of_same_digest() -> None:
    content = hashlib.sha256(b"a zip")

    assert base64.b64decode(lambda_checksum(content.hexdigest())) == content.digest()
