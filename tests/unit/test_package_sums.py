"""The checksums that accompany the zips from the packaging to Lambda."""

import base64
import hashlib
from pathlib import Path

import pytest

from product_tools.package_sums import PackageSumsError, as_lambda_tells, checked_packages


def packaged(folder: Path, content: bytes = b"a zip") -> str:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "get_product.zip").write_bytes(content)
    (folder / "SHA256SUMS").write_text(f"{digest}  get_product.zip\n")
    return digest


def test_zips_that_agree_with_their_checksums_are_listed(tmp_path: Path) -> None:
    digest = packaged(tmp_path)

    assert checked_packages(tmp_path) == {"get_product": digest}


def test_a_changed_zip_is_found(tmp_path: Path) -> None:
    packaged(tmp_path)
    (tmp_path / "get_product.zip").write_bytes(b"another")

    with pytest.raises(PackageSumsError, match=r"get_product\.zip .* do not agree"):
        checked_packages(tmp_path)


def test_a_missing_zip_is_found(tmp_path: Path) -> None:
    packaged(tmp_path)
    (tmp_path / "get_product.zip").unlink()

    with pytest.raises(PackageSumsError, match=r"get_product\.zip"):
        checked_packages(tmp_path)


def test_a_zip_without_a_checksum_is_found(tmp_path: Path) -> None:
    packaged(tmp_path)
    (tmp_path / "extra.zip").write_bytes(b"smuggled in")

    with pytest.raises(PackageSumsError, match=r"extra\.zip"):
        checked_packages(tmp_path)


def test_a_folder_without_packages_is_told_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(PackageSumsError, match="make package"):
        checked_packages(tmp_path)


def test_lambda_tells_the_same_checksum_in_base64() -> None:
    content = hashlib.sha256(b"a zip")

    assert base64.b64decode(as_lambda_tells(content.hexdigest())) == content.digest()
