"""The deployed stacks of these tests: DEV, which `make e2e` deploys, and PROD.

DEV has all optional features, so that the contract tests show the same contract with them. PROD has
none.

Each test module runs in one worker. Only one module may change a stack or run Terraform on it:
`test_terraform.py` for DEV, `test_prod.py` for PROD.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import FEATURES, LocalStack


@pytest.fixture(scope="session")
def stacks_folder() -> Path:
    """The folder of the stacks of `make e2e`."""
    if "PRODUCT_API_STACKS" not in os.environ:
        if os.environ.get("CI") == "true":
            pytest.fail("These tests need the deployed stack: run make e2e.")
        pytest.skip("needs the deployed stack: run make e2e")
    return Path(os.environ["PRODUCT_API_STACKS"])


@pytest.fixture(scope="session")
def stack(stacks_folder: Path) -> LocalStack:
    """The stack of DEV, with its real limits and all features."""
    return LocalStack(stacks_folder / "dev", features=FEATURES)


@pytest.fixture(scope="session")
def writer_keys() -> dict[str, str]:
    """The API keys of PROD's writers, by writer."""
    return {writer: secrets.token_hex(20) for writer in ("admin", "promotions")}


@pytest.fixture(scope="session")
def prod(stacks_folder: Path, writer_keys: dict[str, str]) -> Iterator[LocalStack]:
    """The stack of PROD with two writers, not deployed yet; a low limit lets a test reach it."""
    prod = LocalStack(
        stacks_folder / "prod",
        "prod",
        variables={
            "alert_email": "team@example.com",
            "api_key_values": writer_keys,
            "read_only": True,
            "write_throttle_burst": 5,
            "write_throttle_rate": 1,
            "writers": list(writer_keys),
        },
        packages=stacks_folder / "dev" / "packages",
    )
    yield prod
    prod.destroy()
