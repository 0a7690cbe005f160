"""Loading and exporting a catalogue over HTTP: effects, messages and handling of faults.

Tests of normal use run on the real API and on the fake one, so that the two agree.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import simplejson
import urllib3

import seed_products
from product_tools import catalogue_file
from tests.support.factory import product_body, unused_product_id
from tests.support.fake_product_api import (
    FakeProductApi,
    FakeResponse,
    Fault,
    Target,
    problem,
    serving_fake_api,
)

SCRIPT = Path(seed_products.__file__)


pytestmark = pytest.mark.usefixtures("script_environment")


def seed(target: Target, *arguments: object) -> int:
    access = ("--base-url", target.base_url, "--api-key", target.api_key)
    return seed_products.main([*access, *map(str, arguments)])


def write_catalogue(path: Path, *products: Mapping[str, Any]) -> Path:
    path.write_text(simplejson.dumps({"products": products}, use_decimal=True))
    return path


def entry(**fields: object) -> dict[str, Any]:
    return product_body(productId=unused_product_id(), currency="ZAR") | fields


def send(
    target: Target, method: str, product_id: str, **fields: object
) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        method,
        f"{target.base_url}/products/{product_id}",
        body=simplejson.dumps(fields) if fields else None,
        headers={"x-api-key": target.api_key, "content-type": "application/json"},
    )


def product_on(target: Target, product_id: str) -> dict[str, Any]:
    response = send(target, "GET", product_id)
    assert response.status == 200
    product: dict[str, Any] = simplejson.loads(response.data, parse_float=Decimal)
    return product


# --- normal use, on both APIs


def test_missing_product_is_created_with_exact_amounts(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry(price=Decimal("19.99"), setupFee=Decimal("0.1"), currency="NAD")
    assert seed(target, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    created = product_on(target, product["productId"])
    assert {field: created[field] for field in product} == product
    assert "1 created." in capsys.readouterr().out


def test_second_run_changes_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    products = [entry(setupFee=Decimal("19.99")), entry(description=" Two\nlines\n")]
    path = write_catalogue(tmp_path / "two.json", *products)
    seed(target, "--file", path)
    before = [product_on(target, product["productId"]) for product in products]
    capsys.readouterr()
    assert seed(target, "--file", path) == 0
    assert [product_on(target, product["productId"]) for product in products] == before
    assert "Nothing to change" in capsys.readouterr().out


def test_changed_fields_are_updated_and_missing_fee_removed(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry(setupFee=1500)
    seed(target, "--file", write_catalogue(tmp_path / "before.json", product))
    del product["setupFee"]
    product["price"] = 1200
    assert seed(target, "--file", write_catalogue(tmp_path / "after.json", product)) == 0
    updated = product_on(target, product["productId"])
    assert updated["price"] == 1200
    assert "setupFee" not in updated
    assert updated["version"] == 2
    assert "updated: price, setupFee" in capsys.readouterr().out


def test_dry_run_prints_changes_and_writes_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present, missing = entry(), entry()
    seed(target, "--file", write_catalogue(tmp_path / "a.json", present))
    path = write_catalogue(tmp_path / "b.json", present | {"name": "Other"}, missing)
    assert seed(target, "--dry-run", "--file", path) == 0
    output = capsys.readouterr().out
    assert "would be updated: name" in output
    assert "1 would be created, 1 would be updated." in output
    assert product_on(target, present["productId"])["version"] == 1
    assert send(target, "GET", missing["productId"]).status == 404
    path = write_catalogue(tmp_path / "c.json", present)
    assert seed(target, "--dry-run", "--file", path) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_product_deleted_on_server_fails_with_next_step(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deleted, product = entry(), entry()
    path = write_catalogue(tmp_path / "two.json", deleted, product)
    seed(target, "--file", path)
    send(target, "DELETE", deleted["productId"])
    assert seed(target, "--file", path) == 1
    output = capsys.readouterr()
    assert "1 unchanged, 1 failed." in output.out
    assert f"{deleted['productId']} failed: it was deleted on the server" in output.err
    assert "give it another productId, or remove it from the file" in output.err


def test_wrong_key_fails_with_reason_of_api(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    path = write_catalogue(tmp_path / "one.json", product)
    access = ("--base-url", target.base_url, "--api-key", "no-such-key-0123456789")
    assert seed_products.main([*access, "--file", str(path)]) == 1
    assert f"{product['productId']} failed: HTTP 403: " in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_export_can_be_loaded_into_other_api(
    target: Target,
    fake: FakeProductApi,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("product_tools.catalogue_sync.LARGEST_PAGE", "2")
    products = [entry(price=Decimal(f"{n}.05"), setupFee=n, name=f"é {n}: #") for n in range(1, 6)]
    seed(target, "--file", write_catalogue(tmp_path / "many.json", *products))
    first, again = tmp_path / f"first{ending}", tmp_path / f"again{ending}"
    assert seed(target, "--export", first) == 0
    assert seed(target, "--export", again) == 0
    assert again.read_bytes() == first.read_bytes()
    exported = {product["productId"]: product for product in catalogue_file.read(first)}
    assert list(exported) == sorted(exported)
    product = products[3]
    assert {field: exported[product["productId"]][field] for field in product} == product

    fake.products.clear()
    assert seed(fake, "--file", first) == 0
    assert seed(fake, "--export", again) == 0
    assert again.read_bytes() == first.read_bytes()
    for product in products:
        send(target, "DELETE", product["productId"])


def test_export_has_only_active_products(target: Target, tmp_path: Path) -> None:
    deleted = entry()
    seed(target, "--file", write_catalogue(tmp_path / "one.json", deleted))
    send(target, "DELETE", deleted["productId"])
    export = tmp_path / "export.yaml"
    assert seed(target, "--export", export) == 0
    assert deleted["productId"] not in export.read_text()


# --- faults, on the fake API


def test_command_loads_plans_with_key_from_environment(
    fake: FakeProductApi, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, SCRIPT, "--base-url", fake.base_url],
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


def test_retries_wait_longer_or_as_retry_after_says(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(429, "throttled", "Too many requests.", **{"Retry-After": "7"}))
    fake.fail_next(problem(503, "service-unavailable", "Try again."), times=2)
    path = write_catalogue(tmp_path / "one.json", entry())
    assert seed(fake, "--file", path) == 0
    assert sleeps[0] == 7
    assert 1 <= sleeps[1] < sleeps[2] < 2 + 0.5 + 1
    assert fake.methods() == ["GET", "GET", "GET", "GET", "POST"]


def test_creation_is_retried_with_same_idempotency_key(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(Fault.LOSE_RESPONSE, method="POST")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", entry())) == 0
    keys = [sent.headers["idempotency-key"] for sent in fake.requests if sent.method == "POST"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert sleeps == []


def test_update_with_lost_response_succeeds(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 4}
    fake.fail_next(Fault.LOSE_RESPONSE, method="PUT")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    assert fake.products[product["productId"]]["version"] == 5
    assert [sent.headers["if-match"] for sent in fake.requests if sent.method == "PUT"] == [
        '"4"'
    ] * 2
    assert sleeps == []


def test_product_that_others_keep_changing_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 4}
    fake.fail_next(problem(412, "precondition-failed", "Another version."), method="PUT", times=3)
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 1
    assert "failed: other writers keep changing it: load the file again" in capsys.readouterr().err


def test_product_created_by_other_run_is_updated(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 1}
    fake.fail_next(problem(404, "product-not-found", "There is no such product."), method="GET")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    assert "1 updated." in capsys.readouterr().out


def test_rejected_products_fail_and_others_are_loaded(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invalid, too_large, changed, good = entry(), entry(), entry(), entry()
    errors = [{"field": "name", "message": "is too long"}, {"field": "price", "message": "is 0"}]
    response = problem(400, "validation-error", "The product is not valid.")
    assert isinstance(response.body, dict)
    fake.products[changed["productId"]] = changed | {"name": "Old", "active": True, "version": 1}
    fake.fail_next(
        FakeResponse(400, response.body | {"errors": errors}, response.headers), method="POST"
    )
    fake.fail_next(FakeResponse(413, {"message": "Too large"}), method="POST")
    fake.fail_next(problem(500, "internal-error", "Internal error."), method="PUT")
    path = write_catalogue(tmp_path / "four.json", invalid, too_large, changed, good)
    assert seed(fake, "--file", path) == 1
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        (
            f"{invalid['productId']} failed: HTTP 400: name: is too long; price: is 0"
            " (request request-1)"
        ),
        f"{too_large['productId']} failed: HTTP 413: Too large",
        f"{changed['productId']} failed: HTTP 500: Internal error. (request request-1)",
    ]
    assert "1 created, 3 failed." in output.out
    assert list(fake.active()) == [changed["productId"], good["productId"]]


def test_unavailable_api_ends_run_with_products_not_tried(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], sleeps: list[float]
) -> None:
    fake.fail_next(problem(503, "read-only", "The catalogue is read-only."), method="POST", times=6)
    assert seed(fake, "--file", write_catalogue(tmp_path / "two.json", entry(), entry())) == 1
    output = capsys.readouterr()
    assert "2 not tried." in output.out
    assert output.err == (
        "POST /products failed 6 times (HTTP 503: The catalogue is read-only."
        " (request request-1)): try again later.\n"
    )
    assert len(sleeps) == 4


def test_wait_of_retry_after_is_capped(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(503, "service-unavailable", "Wait.", **{"Retry-After": "86400"}))
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", entry())) == 0
    assert sleeps == [30]


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("http://127.0.0.1:1/v1.0", "No server listens at http://127.0.0.1:1/v1.0: start the API"),
        ("http://no-such-host.invalid", "The host of http://no-such-host.invalid is unknown"),
    ],
)
@pytest.mark.usefixtures("sleeps")
def test_address_without_server_fails_with_one_sentence(
    base_url: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--base-url", base_url, "--api-key", "key"]
    assert seed_products.main(arguments) == 1
    assert capsys.readouterr().err.startswith(message)
    assert seed_products.main([*arguments, "--export", str(tmp_path / "export.json")]) == 1
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.usefixtures("sleeps")
def test_https_address_without_tls_fails_with_one_sentence(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("http:", "https:")
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert capsys.readouterr().err.startswith(
        f"No secure connection to {fake.base_url}: check the address"
    )


@pytest.mark.usefixtures("sleeps")
def test_dropped_connections_fail_with_one_sentence(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(Fault.DROP, times=6)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert capsys.readouterr().err.startswith(f"The connection to {fake.base_url} broke: try again")


@pytest.mark.usefixtures("sleeps")
def test_hanging_api_fails_with_one_sentence(
    fake: FakeProductApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("product_tools.api_client.READ_SECONDS", 0.05)
    fake.fail_next(Fault.HANG, times=6)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "sent no response within 0.05 s: check the address" in capsys.readouterr().err


def test_address_of_website_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(FakeResponse(200, "<html>"), times=2)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "is not the product API (HTTP 200, not JSON)" in capsys.readouterr().err
    assert seed(fake) == 1
    assert "is not the product API (HTTP 200, not JSON)" in capsys.readouterr().err


def test_address_of_other_api_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("v1.0", "v2.0")
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "HTTP 404: There is no such route. (request request-1)" in capsys.readouterr().err
    assert seed(fake, "--dry-run") == 1
    assert "PROD-005 failed: HTTP 404: There is no such route." in capsys.readouterr().err


def test_redirect_is_not_followed(fake: FakeProductApi, tmp_path: Path) -> None:
    with serving_fake_api() as elsewhere:
        fake.fail_next(FakeResponse(307, "", {"Location": f"{elsewhere.base_url}/products"}))
        assert seed(fake, "--export", tmp_path / "export.json") == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--base-url"),
        (["--base-url", "http://127.0.0.1/v1.0"], "set API_KEY, or give --api-key"),
        (
            ["--base-url", "127.0.0.1/v1.0", "--api-key", "k"],
            "is not an API address: give one like",
        ),
        (["--base-url", "http://[/v1.0", "--api-key", "k"], "is not an API address: give one like"),
        (["--base-url", "http://h/v1.0/products", "--api-key", "k"], "ends just before /products"),
        (
            ["--base-url", "http://h/v1.0", "--api-key", "a\nb"],
            "API key contains invalid characters",
        ),
        (["--base-url", "http://h", "--dry-run", "--export", "a.json"], "leave --dry-run out"),
        (["--base-url", "http://h", "--file", "a", "--export", "b"], "not allowed with"),
    ],
)
def test_invalid_arguments_end_with_2_and_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        seed_products.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("direction", ["--file", "--export"])
def test_invalid_file_extension_ends_with_2_before_requests(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], direction: str
) -> None:
    assert seed(fake, direction, tmp_path / "catalogue.txt") == 2
    assert "must end in .yaml, .yml or .json" in capsys.readouterr().err
    assert fake.requests == []


def test_empty_catalogue_changes_nothing(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seed(fake, "--file", write_catalogue(tmp_path / "none.json")) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_interrupted_run_prints_products_not_tried(fake: FakeProductApi, tmp_path: Path) -> None:
    first, second = entry(), entry()
    path = write_catalogue(tmp_path / "two.json", first, second)
    fake.fail_next(Fault.HANG, method="POST")
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--base-url", fake.base_url, "--file", path],
        env={**os.environ, "API_KEY": fake.api_key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        fake.wait_for_hanging_request()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "2 not tried." in out
    assert err == "Interrupted: run the same command again to load the rest.\n"
