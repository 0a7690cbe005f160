"""Comparison of the deployed functions with the zips in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from product_tools.aliases import AliasError, Aliases
from product_tools.aws_calls import aws_errors_as
from product_tools.functions import EVENT_FUNCTIONS, function_name
from product_tools.package_sums import checked_packages, lambda_checksum

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


@dataclass(frozen=True, slots=True)
class DeployedCode:
    """The newest version of a function, compared with its zip.

    Attributes:
        package: the name of the zip without its suffix.
        digest: the hexadecimal SHA-256 of the zip.
        is_packaged: whether the version consists of exactly this zip.
    """

    function: str
    version: str
    package: str
    digest: str
    is_packaged: bool


def compare(client: "LambdaClient", environment: str, packages: Path) -> Iterator[DeployedCode]:
    """Compare the newest version of every function with its zip.

    An event function that is switched off is left out: its zip is built, but not deployed.

    Raises:
        AliasError: a call to AWS fails.
        PackageSumsError: the zips and their SHA256SUMS differ.
    """
    aliases = Aliases(client)
    for package, digest in checked_packages(packages).items():
        function = function_name(package, environment)
        if package in EVENT_FUNCTIONS and not aliases.deployed([function]):
            continue
        version = aliases.newest_version(function)
        with aws_errors_as(AliasError):
            deployed = client.get_function_configuration(FunctionName=function, Qualifier=version)
        is_packaged = deployed["CodeSha256"] == lambda_checksum(digest)
        yield DeployedCode(function, version, package, digest, is_packaged)
