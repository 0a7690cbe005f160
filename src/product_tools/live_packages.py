"""Downloads the zips of the live versions, so that an apply changes settings but not the code."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from product_tools.aliases import AliasError, Aliases
from product_tools.aws_calls import aws_errors_as
from product_tools.functions import EVENT_FUNCTIONS, FUNCTIONS, function_name
from product_tools.package_sums import lambda_checksum

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_RETRIES = urllib3.Retry(3, backoff_factor=0.5, status_forcelist=(500, 502, 503))


class DownloadError(Exception):
    """A zip cannot be downloaded; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class LivePackage:
    """The downloaded zip of a live version.

    Attributes:
        package: the name of the zip without its suffix.
        digest: the hexadecimal SHA-256 of the zip.
    """

    package: str
    function: str
    version: str
    digest: str


def fetch(client: "LambdaClient", environment: str, folder: Path) -> list[LivePackage]:
    """Replace the packages in a folder by the zips of the live versions, and write SHA256SUMS.

    Event functions that are switched off have no live version, so no plan needs their zips.

    After an error, the folder is unchanged.

    Raises:
        AliasError: a call to AWS fails, or a shift is not finished.
        DownloadError: a zip cannot be downloaded, or is not the one that Lambda has recorded.
    """
    with tempfile.TemporaryDirectory() as temporary:
        downloads = Path(temporary)
        packages = list(_download_all(client, environment, downloads))
        sums = [f"{package.digest}  {package.package}.zip\n" for package in packages]
        (downloads / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.zip"):
            old.unlink()
        for file in downloads.iterdir():
            shutil.move(file, folder / file.name)
    return packages


def _download_all(client: "LambdaClient", environment: str, folder: Path) -> Iterator[LivePackage]:
    aliases = Aliases(client)
    pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES)
    event_functions = [
        package
        for package in EVENT_FUNCTIONS
        if aliases.deployed([function_name(package, environment)])
    ]
    for package in sorted([*FUNCTIONS, *event_functions]):
        function = function_name(package, environment)
        alias = aliases.read(function)
        if alias.weights:
            raise AliasError(
                f"Two versions of {function} are live: finish the shift with"
                " scripts/shift_traffic.py or scripts/rollback.py first."
            )
        with aws_errors_as(AliasError):
            deployed = client.get_function(FunctionName=function, Qualifier=alias.version)
        content = _download(pool, deployed["Code"]["Location"], function)
        digest = hashlib.sha256(content).hexdigest()
        if lambda_checksum(digest) != deployed["Configuration"]["CodeSha256"]:
            raise DownloadError(
                f"The downloaded zip is not that of version {alias.version} of {function}: try"
                " again; if it repeats, check out the tag of the release, and run make package."
            )
        (folder / f"{package}.zip").write_bytes(content)
        yield LivePackage(package, function, alias.version, digest)


def _download(pool: urllib3.PoolManager, location: str, function: str) -> bytes:
    """Download a zip from the signed URL that Lambda has returned; no message shows this URL."""
    try:
        response = pool.request("GET", location)
    except urllib3.exceptions.HTTPError as error:
        raise DownloadError(
            f"The zip of {function} could not be downloaded ({type(error).__name__}): check the"
            " network, then try again."
        ) from None
    if response.status != HTTPStatus.OK:
        raise DownloadError(
            f"The zip of {function} could not be downloaded (HTTP {response.status}): try again."
        )
    return response.data
