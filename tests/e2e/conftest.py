"""The deployed stacks that these tests look at: DEV's, which `make e2e` deployed, and PROD's.

A module runs in one worker. Only one may change a stack or run Terraform on it: `test_terraform.py`
DEV's, `test_prod.py` PROD's.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import LocalStack


@pytest.fixture(scope="session")
def stacks_folder() -> Path:
    """The folder of the stacks that `make e2e` keeps."""
    if "PRODUCT_API_STACKS" not in os.environ:
        if os.environ.get("CI") == "true":
            pytest.fail("These tests need the deployed stack: run make e2e.")
        pytest.skip("needs the deployed stack: run make e2e")
    return Path(os.environ["PRODUCT_API_STACKS"])


@pytest.fixture(scope="session")
def stack(stacks_folder: Path) -> LocalStack:
    """DEV's stack, deployed with its own limits."""
    return LocalStack(stacks_folder / "dev")


@pytest.fixture(scope="session")
def prod(stacks_folder: Path) -> Iterator[LocalStack]:
    """PROD's stack, not deployed yet; its writes are throttled early, to show that they are."""
    prod = LocalStack(
        stacks_folder / "prod",
        "prod",
        variables={"write_throttle_rate": 1, "write_throttle_burst": 5, "read_only": True},
        packages=stacks_folder / "dev" / "packages",
    )
    yield prod
    prod.destroy()
