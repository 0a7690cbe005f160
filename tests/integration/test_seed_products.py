"""Loading the five plans, which is `catalogue.py load` with a default file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import seed_products
from tests.support.fake_product_api import FakeProductApi

pytestmark = pytest.mark.usefixtures("script_environment")


def seed(api: FakeProductApi, *arguments: str) -> int:
    return seed_products.main(["--base-url", api.base_url, "--api-key", api.api_key, *arguments])


def test_command_loads_plans_with_key_from_environment(
    fake: FakeProductApi, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, seed_products.__file__, "--base-url", fake.base_url],
        cwd=tmp_path,
        env={**os.environ, "API_KEY": fake.api_key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "5 created." in run.stdout
    assert list(fake.products) == [f"PROD-00{number}" for number in range(1, 6)]
    for method, header in (("POST", "idempotency-key"), ("POST", "x-api-key")):
        assert all(sent.headers[header] for sent in fake.requests if sent.method == method)


def test_only_missing_plans_are_added(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seed(fake) == 0
    fake.products["PROD-001"]["name"] = "Edited"
    fake.products["PROD-002"]["active"] = False
    del fake.products["PROD-003"]
    capsys.readouterr()
    assert seed(fake, "--only-missing") == 0
    assert "1 created, 3 already active, 1 stays retired." in capsys.readouterr().out
    assert fake.products["PROD-001"]["name"] == "Edited"
    assert not fake.products["PROD-002"]["active"]


def test_other_file_is_loaded(fake: FakeProductApi, tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(seed_products.PLANS.read_text().replace("PROD-00", "PROD-10"))
    assert seed(fake, "--file", str(path)) == 0
    assert list(fake.products) == [f"PROD-10{number}" for number in range(1, 6)]


def test_missing_address_ends_with_2_and_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        seed_products.main([])
    assert end.value.code == 2
    assert "set BASE_URL, or give --base-url" in capsys.readouterr().err
