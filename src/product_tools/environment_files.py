"""Reads Terraform's files of an environment: its values, and where its state is.

It knows the folder terraform/ and the HCL format. It makes no call to AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import hcl2
from lark.exceptions import UnexpectedInput

from product_tools.functions import ENVIRONMENTS
from product_tools.terraform import TERRAFORM_FOLDER, TerraformError, value_files

RECOVERY: Final = "prod-recovery"
"""PROD in the second region, after the loss of the first one."""
DEPLOYMENTS: Final = (*ENVIRONMENTS, RECOVERY)
"""What has files in terraform/environments, and so a state of its own."""

_OPTIONS = hcl2.SerializationOptions(
    with_comments=False, explicit_blocks=False, strip_string_quotes=True
)


class EnvironmentFileError(TerraformError):
    """A file has a syntax error; the text is a sentence with the next step."""


@dataclass(frozen=True, slots=True)
class StateLocation:
    """Where an environment's state is.

    Attributes:
        bucket: the name of the S3 bucket.
        region: the region of the bucket.
        key: the key of the state in the bucket.
        account: the account that must own the bucket.
    """

    bucket: str
    region: str
    key: str
    account: str


def state_location(environment: str) -> StateLocation:
    """Return where the state of an environment is.

    Raises:
        EnvironmentFileError: a file has a syntax error.
    """
    settings = _parse(TERRAFORM_FOLDER / "environments" / f"{environment}.s3.tfbackend")
    [backend] = _parse(TERRAFORM_FOLDER / "backend.tf")["terraform"][0]["backend"]
    account = values(environment)["aws_account_id"]
    return StateLocation(settings["bucket"], settings["region"], backend["s3"]["key"], account)


def values(environment: str) -> Mapping[str, Any]:
    """Return the values of an environment's variables: those of its files, else the defaults.

    Raises:
        EnvironmentFileError: a file has a syntax error.
    """
    blocks = _parse(TERRAFORM_FOLDER / "variables.tf")["variable"]
    found = {
        name: variable["default"]
        for block in blocks
        for name, variable in block.items()
        if "default" in variable
    }
    for file in value_files(TERRAFORM_FOLDER, environment):
        found.update(_parse(file))
    return found


def _parse(file: Path) -> Mapping[str, Any]:
    try:
        return _parse_text(file.read_text("utf-8"))
    except UnexpectedInput as error:
        raise EnvironmentFileError(
            f"{file} has a syntax error at line {error.line}: correct it; `terraform fmt` shows it,"
            " too."
        ) from None


@cache
def _parse_text(text: str) -> Mapping[str, Any]:
    return hcl2.loads(text, serialization_options=_OPTIONS)
