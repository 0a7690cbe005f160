"""Checks the zips against SHA256SUMS, which `make package` writes, and converts for Lambda."""

import base64
import hashlib
from pathlib import Path

from product_tools.repository import REPOSITORY

PACKAGES = REPOSITORY / "dist"


class PackageSumsError(Exception):
    """The zips differ from their checksums; the text is a sentence with the next step."""


def checked_packages(folder: Path) -> dict[str, str]:
    """Check each zip in a folder against SHA256SUMS.

    Returns:
        The SHA-256 of each zip in hexadecimal, by the zip's name without its suffix.

    Raises:
        PackageSumsError: a zip is missing, changed, or not listed.
    """
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise PackageSumsError(
            f"There are no packages in {folder}: run make package first."
        ) from None
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.zip")
    }
    wrong = sorted(name for name in {*listed, *found} if listed.get(name) != found.get(name))
    if wrong:
        raise PackageSumsError(
            f"{', '.join(wrong)} in {folder} and SHA256SUMS do not agree: run make package again,"
            " or download the packages again."
        )
    return {name.removesuffix(".zip"): digest for name, digest in listed.items()}


def lambda_checksum(digest: str) -> str:
    """Convert a hexadecimal SHA-256 to Base64, the format of Lambda's CodeSha256.

    Source: AWS Lambda API Reference, "FunctionConfiguration".
    """
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii")
