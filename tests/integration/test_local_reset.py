"""`make reset`: the local server starts with an empty catalogue, and no server loses its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from product_tools.repository import REPOSITORY
from tests.support.factory import product_body
from tests.support.local_process import KEY, local_server
from tests.support.product_api import ProductApi


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder that a server has stored a product and an API key in."""
    folder = tmp_path / "products"
    with local_server(folder, API_KEY="") as server:
        ProductApi(f"{server.address}/v1.0", (folder / "api-key").read_text()).create_product(
            product_body(productId="PROD-001")
        )
    return folder


def reset(folder: Path) -> tuple[int, str]:
    """Run the command; return its exit code and its output."""
    completed = subprocess.run(
        [sys.executable, "-m", "local.reset"],
        cwd=REPOSITORY,
        env={**os.environ, "DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return completed.returncode, completed.stdout + completed.stderr


def test_reset_empties_catalogue_and_keeps_key(data_dir: Path) -> None:
    key = (data_dir / "api-key").read_text()

    assert reset(data_dir) == (
        0,
        f"The local catalogue in {data_dir} is empty now. The API key stays the same.\n",
    )
    with local_server(data_dir, API_KEY="") as server:
        api = ProductApi(f"{server.address}/v1.0", key)
        assert api.list_products().json()["products"] == []
        assert api.create_product(product_body()).json()["productId"] == "PROD-001"


def test_reset_without_catalogue_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "missing"

    assert reset(folder) == (
        0,
        f"There is nothing to remove: {folder} has no local catalogue.\n",
    )
    assert not folder.exists()


def test_reset_of_used_catalogue_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "products"
    with local_server(folder) as server:
        api = ProductApi(f"{server.address}/v1.0", KEY)
        api.create_product(product_body(productId="PROD-001"))

        exit_code, printed = reset(folder)

        assert exit_code == 1
        assert printed == (
            f"A server uses the local catalogue in {folder}: "
            "stop it with Ctrl-C, then run make reset again.\n"
        )
        assert api.get_product("PROD-001").status == 200


def test_file_that_cannot_be_removed_is_one_sentence(data_dir: Path) -> None:
    (data_dir / "state" / "other.json").mkdir()

    exit_code, printed = reset(data_dir)

    assert exit_code == 1
    assert printed.startswith(f"The local catalogue in {data_dir / 'state'} cannot be removed (")
    assert printed.endswith("): remove that folder, then start the server again.\n")
