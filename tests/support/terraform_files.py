"""Terraform's files of an environment for an account of the test, and states as Terraform has them.

The local AWS keeps the resources of accounts apart, and takes an access key of 12 digits for the
account. So each test has an empty account.
"""

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2] / "terraform"
STATE_KEY = "2_bbws_product_lambda/terraform.tfstate"


def state(outputs: Mapping[str, Any]) -> bytes:
    """Return a state with these outputs."""
    described = {name: {"value": value, "type": "string"} for name, value in outputs.items()}
    return json.dumps({"version": 4, "outputs": described, "resources": []}).encode()


class TerraformFiles:
    """A copy with an account and a bucket of its own.

    To use it, set `product_tools.environment_files.TERRAFORM_FOLDER` to its folder.

    Attributes:
        account: the account of all environments, which is also the access key.
        bucket: the bucket of the environment's state.
    """

    def __init__(self, folder: Path, environment: str = "dev") -> None:
        self.folder = folder
        self.environment = environment
        self.account = str(secrets.randbelow(9 * 10**11) + 10**11)
        self.bucket = f"state-{environment}-{self.account}"
        shutil.copytree(ROOT / "environments", folder / "environments")
        for name in ("backend.tf", "variables.tf"):
            shutil.copyfile(ROOT / name, folder / name)
        for file in (folder / "environments").glob("*.tfvars"):
            self.set("aws_account_id", self.account, file.stem)
            self._replace(
                f"{file.stem}.s3.tfbackend", "bucket", f"state-{file.stem}-{self.account}"
            )

    def set(self, name: str, value: object, environment: str | None = None) -> None:
        """Give a variable of an environment, by default of the first one, another value."""
        self._replace(f"{environment or self.environment}.tfvars", name, value)

    def _replace(self, file_name: str, name: str, value: object) -> None:
        file = self.folder / "environments" / file_name
        others = re.sub(rf"^{name} .*\n", "", file.read_text(), flags=re.MULTILINE)
        file.write_text(f"{others}{name} = {json.dumps(value)}\n")


def without_credentials(environment: pytest.MonkeyPatch, folder: Path) -> None:
    """Remove AWS credentials from the environment, and hide those of the user."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        environment.delenv(name, raising=False)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    environment.setenv("AWS_CONFIG_FILE", str(folder / "none"))
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
