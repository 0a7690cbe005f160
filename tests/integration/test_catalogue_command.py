"""The commands on a catalogue, over HTTP: effects, messages and handling of faults.

Tests of normal use run on the real API and on the fake one, so that the two agree.
"""

import os
import re
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

import catalogue
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
from tests.support.product_api import ProductApi
from tests.support.rejected_values import INVALID_VALUES

SCRIPT = Path(catalogue.__file__)


pytestmark = pytest.mark.usefixtures("script_environment")


def run(target: Target, command: str, *arguments: object) -> int:
    access = ("--base-url", target.base_url, "--api-key", target.api_key)
    return catalogue.main([command, *access, *map(str, arguments)])


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
    assert run(target, "load", write_catalogue(tmp_path / "one.json", product)) == 0
    created = product_on(target, product["productId"])
    assert {field: created[field] for field in product} == product
    assert "1 created." in capsys.readouterr().out


def test_second_run_changes_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    products = [entry(setupFee=Decimal("19.99")), entry(description=" Two\nlines\n")]
    path = write_catalogue(tmp_path / "two.json", *products)
    run(target, "load", path)
    before = [product_on(target, product["productId"]) for product in products]
    capsys.readouterr()
    assert run(target, "load", path) == 0
    assert [product_on(target, product["productId"]) for product in products] == before
    assert "Nothing to change" in capsys.readouterr().out


def test_changed_fields_are_updated_and_missing_fee_removed(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry(setupFee=1500)
    run(target, "load", write_catalogue(tmp_path / "before.json", product))
    del product["setupFee"]
    product["price"] = 1200
    assert run(target, "load", write_catalogue(tmp_path / "after.json", product)) == 0
    updated = product_on(target, product["productId"])
    assert updated["price"] == 1200
    assert "setupFee" not in updated
    assert updated["version"] == 2
    assert "updated: price, setupFee" in capsys.readouterr().out


def test_dry_run_prints_changes_and_writes_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present, missing = entry(), entry()
    run(target, "load", write_catalogue(tmp_path / "a.json", present))
    path = write_catalogue(tmp_path / "b.json", present | {"name": "Other"}, missing)
    assert run(target, "load", "--dry-run", path) == 0
    output = capsys.readouterr().out
    assert "would be updated: name" in output
    assert "1 would be created, 1 would be updated." in output
    assert product_on(target, present["productId"])["version"] == 1
    assert send(target, "GET", missing["productId"]).status == 404
    path = write_catalogue(tmp_path / "c.json", present)
    assert run(target, "load", "--dry-run", path) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_product_deleted_on_server_fails_with_next_step(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deleted, product = entry(), entry()
    path = write_catalogue(tmp_path / "two.json", deleted, product)
    run(target, "load", path)
    send(target, "DELETE", deleted["productId"])
    assert run(target, "load", path) == 1
    output = capsys.readouterr()
    assert "1 unchanged, 1 failed." in output.out
    assert output.err == (
        f"{deleted['productId']} failed: it is retired there: restore it first, give it another"
        " productId, or remove it from the file.\n"
    )


def test_wrong_key_ends_run_with_one_sentence(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_catalogue(tmp_path / "two.json", entry(), entry())
    access = ("--base-url", target.base_url, "--api-key", "no-such-key-0123456789")
    assert catalogue.main(["load", *access, str(path)]) == 2
    output = capsys.readouterr()
    assert "2 not tried." in output.out
    assert output.err.startswith(f"{target.base_url} does not accept the API key (HTTP 403: ")
    assert output.err.endswith("): check API_KEY.\n")


@pytest.mark.parametrize("ending", [".yaml", ".json", ".csv"])
def test_export_can_be_loaded_into_other_api(
    target: Target,
    fake: FakeProductApi,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("product_tools.catalogue_sync.LARGEST_PAGE", "2")
    products = [entry(price=Decimal(f"{n}.05"), setupFee=n, name=f"é {n}: #") for n in range(1, 6)]
    run(target, "load", write_catalogue(tmp_path / "many.json", *products))
    first, again = tmp_path / f"first{ending}", tmp_path / f"again{ending}"
    assert run(target, "export", first) == 0
    assert run(target, "export", again) == 0
    assert again.read_bytes() == first.read_bytes()
    exported = {product["productId"]: product for product in catalogue_file.read(first)}
    assert list(exported) == sorted(exported)
    product = products[3]
    assert {field: exported[product["productId"]][field] for field in product} == product

    fake.products.clear()
    assert run(fake, "load", first) == 0
    assert run(fake, "export", again) == 0
    assert again.read_bytes() == first.read_bytes()
    for product in products:
        send(target, "DELETE", product["productId"])


def test_export_has_only_active_products(target: Target, tmp_path: Path) -> None:
    deleted = entry()
    run(target, "load", write_catalogue(tmp_path / "one.json", deleted))
    send(target, "DELETE", deleted["productId"])
    export = tmp_path / "export.yaml"
    assert run(target, "export", export) == 0
    assert deleted["productId"] not in export.read_text()


def test_dry_run_says_that_id_is_retired(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retired, missing = entry(), entry()
    path = write_catalogue(tmp_path / "two.json", retired, missing)
    run(target, "load", write_catalogue(tmp_path / "one.json", retired))
    run(target, "retire", retired["productId"])
    capsys.readouterr()
    assert run(target, "load", path, "--dry-run") == 1
    output = capsys.readouterr()
    assert "1 would be created, 1 failed." in output.out
    assert f"{retired['productId']} failed: it is retired there: restore it first" in output.err
    assert run(target, "load", path, "--dry-run", "--only-missing") == 0
    assert "1 stays retired, 1 would be created." in capsys.readouterr().out


def invalid_entries() -> list[dict[str, Any]]:
    """Products for each value that a file may have and the API rejects."""
    values = [
        (field, value)
        for field, value in INVALID_VALUES
        if field in catalogue_file.FIELDS and catalogue_file.FIELDS[field].is_valid(value)
    ]
    amounts = [
        (field, Decimal(amount))
        for field in ("price", "setupFee")
        for amount in ("-0.01", "19.999", "100000000", "1e400")
    ]
    return [entry(**{field: value}) for field, value in (*values, *amounts, ("price", 0))]


@pytest.mark.parametrize("exists", [False, True], ids=["creation", "change"])
def test_dry_run_agrees_with_load(
    api: ProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, exists: bool
) -> None:
    products = invalid_entries()
    if exists:
        valid = [entry(productId=product["productId"]) for product in products]
        run(api, "load", write_catalogue(tmp_path / "valid.json", *valid))
    path = write_catalogue(tmp_path / "invalid.json", *products)
    capsys.readouterr()
    exit_codes, reasons = [], []
    for options in (["--dry-run"], []):
        exit_codes.append(run(api, "load", path, *options))
        errors = capsys.readouterr().err
        reasons.append(re.sub(r" \(request .*\)$", "", errors, flags=re.MULTILINE).splitlines())
    assert exit_codes == [1, 1], reasons
    assert len(reasons[0]) > len(products) / 2
    assert reasons[0] == reasons[1]


def test_only_missing_products_are_created(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited, retired, missing = entry(), entry(), entry()
    path = write_catalogue(tmp_path / "three.json", edited | {"price": 1}, retired, missing)
    run(target, "load", write_catalogue(tmp_path / "two.json", edited, retired))
    send(target, "DELETE", retired["productId"])
    capsys.readouterr()
    assert run(target, "load", path, "--only-missing", "--dry-run") == 0
    assert "1 already active, 1 stays retired, 1 would be created." in capsys.readouterr().out
    assert run(target, "load", path, "--only-missing") == 0
    assert "1 created, 1 already active, 1 stays retired." in capsys.readouterr().out
    assert product_on(target, edited["productId"])["price"] == 1000
    assert send(target, "GET", retired["productId"]).status == 404
    assert product_on(target, missing["productId"])["version"] == 1


def test_retired_product_comes_back_as_it_was(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry(setupFee=Decimal("19.99"))
    product_id = product["productId"]
    run(target, "load", write_catalogue(tmp_path / "one.json", product))
    capsys.readouterr()
    for command, result in (
        ("retire", "1 retired."),
        ("retire", "Nothing to change: 1 stays retired."),
        ("restore", "1 restored."),
        ("restore", "Nothing to change: 1 already active."),
    ):
        assert run(target, command, product_id) == 0
        assert result in capsys.readouterr().out
    restored = product_on(target, product_id)
    assert {field: restored[field] for field in product} == product


@pytest.mark.parametrize("command", ["retire", "restore"])
def test_unknown_id_fails_and_others_are_tried(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    product, unknown = entry(), unused_product_id()
    run(target, "load", write_catalogue(tmp_path / "one.json", product))
    capsys.readouterr()
    assert run(target, command, unknown, product["productId"], "prod-1") == 1
    output = capsys.readouterr()
    assert "2 failed." in output.out
    assert f"{unknown} failed: there is no such product, active or retired" in output.err
    assert "prod-1 failed: " in output.err


def test_show_prints_active_and_retired_products(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    active, retired = entry(price=Decimal("0.5"), setupFee=7, name="[b]New[/b]"), entry()
    run(target, "load", write_catalogue(tmp_path / "two.json", active, retired))
    send(target, "DELETE", retired["productId"])
    capsys.readouterr()
    assert run(target, "show") == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if active["productId"] in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [active["productId"], "[b]New[/b]", "0.5", "7", "ZAR", "yearly", "active"]
    assert retired["productId"] not in output
    assert run(target, "show", "--deleted") == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if retired["productId"] in line)
    assert "retired" in row
    assert active["productId"] in output


def test_diff_names_every_difference_with_file(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same, changed, removed, retired, new = (entry() for _ in range(5))
    there = write_catalogue(tmp_path / "there.json", same, changed, removed, retired)
    run(target, "load", there)
    send(target, "DELETE", retired["productId"])
    here = [same, changed | {"price": 1299, "name": "Pro"}, retired, new]
    capsys.readouterr()
    assert run(target, "diff", write_catalogue(tmp_path / "here.json", *here)) == 1
    output = capsys.readouterr().out
    texts = {
        line.split("│")[1].strip(): line.split("│")[3].strip()
        for line in output.splitlines()
        if line.startswith("│")
    }
    assert same["productId"] not in texts
    assert texts[changed["productId"]] == "price 1000 → 1299"
    assert 'name "Basic" → "Pro"' in output
    assert texts[removed["productId"]] == "only there"
    assert texts[retired["productId"]] == "retired there"
    assert texts[new["productId"]] == "only here"


def test_diff_with_own_export_finds_nothing(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(fake, "load", write_catalogue(tmp_path / "two.json", entry(setupFee=2), entry()))
    run(fake, "export", tmp_path / "export.csv")
    capsys.readouterr()
    assert run(fake, "diff", tmp_path / "export.csv") == 0
    output = capsys.readouterr()
    assert "No difference." in output.out
    assert output.err == ""


def test_diff_with_other_environment_keeps_key_to_itself(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    with serving_fake_api() as other:
        run(other, "load", write_catalogue(tmp_path / "one.json", product))
        other.requests.clear()
        capsys.readouterr()
        assert run(fake, "diff", other.base_url) == 1
        assert "x-api-key" not in other.requests[0].headers
    output = capsys.readouterr().out
    assert f"There: {fake.base_url} (products: 0)." in output
    assert f"Here: {other.base_url} (products: 1)." in output
    assert "only here" in output


def test_diff_without_key_says_what_it_cannot_see(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_catalogue(tmp_path / "one.json", entry())
    assert catalogue.main(["diff", "--base-url", fake.base_url, str(path)]) == 1
    output = capsys.readouterr()
    assert "only here" in output.out
    assert output.err == (
        "Without an API key, products that are retired there count as only here: set API_KEY.\n"
    )


def test_address_and_key_come_from_environment(
    fake: FakeProductApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", fake.base_url)
    monkeypatch.setenv("API_KEY", fake.api_key)
    assert catalogue.main(["show", "--deleted"]) == 0
    assert [sent.headers["x-api-key"] for sent in fake.requests] == [fake.api_key] * 2


def test_products_missing_from_file_are_retired(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, missing, new = entry(), entry(), entry()
    run(fake, "load", write_catalogue(tmp_path / "there.json", kept, missing))
    path = write_catalogue(tmp_path / "here.json", kept, new)
    capsys.readouterr()
    assert run(fake, "load", path, "--retire-missing", "--dry-run") == 0
    assert "1 unchanged, 1 would be created, 1 would be retired." in capsys.readouterr().out
    assert missing["productId"] in fake.active()
    assert run(fake, "load", path, "--retire-missing") == 0
    assert "1 created, 1 retired, 1 unchanged." in capsys.readouterr().out
    assert sorted(fake.active()) == sorted([kept["productId"], new["productId"]])


def test_failed_product_prevents_retirements(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = entry()
    run(fake, "load", write_catalogue(tmp_path / "there.json", missing))
    fake.fail_next(problem(400, "validation-error", "The product is not valid."), method="POST")
    path = write_catalogue(tmp_path / "here.json", entry())
    assert run(fake, "load", path, "--retire-missing") == 1
    assert capsys.readouterr().err.endswith(
        "No product was retired, because products of the file failed.\n"
    )
    assert missing["productId"] in fake.active()


def test_empty_file_retires_nothing(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_catalogue(tmp_path / "none.json")
    assert run(fake, "load", path, "--retire-missing") == 2
    assert "has no products, so --retire-missing would retire all" in capsys.readouterr().err
    assert fake.requests == []


# --- faults, on the fake API


def test_retries_wait_longer_or_as_retry_after_says(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(429, "throttled", "Too many requests.", **{"Retry-After": "7"}))
    fake.fail_next(problem(503, "service-unavailable", "Try again."), times=2)
    path = write_catalogue(tmp_path / "one.json", entry())
    assert run(fake, "load", path) == 0
    assert sleeps[0] == 7
    assert 1 <= sleeps[1] < sleeps[2] < 2 + 0.5 + 1
    assert fake.methods() == ["GET", "GET", "GET", "GET", "POST"]


def test_creation_is_retried_with_same_idempotency_key(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(Fault.LOSE_RESPONSE, method="POST")
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", entry())) == 0
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
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", product)) == 0
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
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", product)) == 1
    assert "failed: other writers keep changing it: run this again" in capsys.readouterr().err


def test_product_created_by_other_run_is_updated(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 1}
    fake.fail_next(problem(404, "product-not-found", "There is no such product."), method="GET")
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", product)) == 0
    assert "1 updated." in capsys.readouterr().out


def test_product_deleted_during_load_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"active": False, "version": 4}
    before_deletion = FakeResponse(200, product | {"name": "Old"}, {"ETag": '"3"'})
    fake.fail_next(before_deletion, method="GET")
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", product)) == 1
    assert "failed: it is retired there" in capsys.readouterr().err


def test_unreadable_product_is_retired(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"active": True, "version": 1}
    fake.fail_next(problem(500, "internal-error", "Internal error."), method="GET")
    assert run(fake, "retire", product["productId"]) == 0
    assert "1 retired." in capsys.readouterr().out
    assert fake.active() == {}


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
    assert run(fake, "load", path) == 1
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
    fake.fail_next(problem(503, "unavailable", "Send it again."), method="POST", times=6)
    assert run(fake, "load", write_catalogue(tmp_path / "two.json", entry(), entry())) == 2
    output = capsys.readouterr()
    assert "2 not tried." in output.out
    assert output.err == (
        "POST /products failed 6 times (HTTP 503: Send it again."
        " (request request-1)): try again later.\n"
    )
    assert len(sleeps) == 4


def test_read_only_api_ends_run_without_retries(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], sleeps: list[float]
) -> None:
    response = problem(503, "read-only", "Reads work.", **{"Retry-After": "60"})
    fake.fail_next(response, method="POST")
    assert run(fake, "load", write_catalogue(tmp_path / "two.json", entry(), entry())) == 2
    output = capsys.readouterr()
    assert "2 not tried." in output.out
    assert output.err == (
        f"{fake.base_url} is read-only (HTTP 503: Reads work. (request request-1)):"
        " try again later.\n"
    )
    assert sleeps == []


def test_wait_of_retry_after_is_capped(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(503, "service-unavailable", "Wait.", **{"Retry-After": "86400"}))
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", entry())) == 0
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
    access = ["--base-url", base_url, "--api-key", "key"]
    path = str(write_catalogue(tmp_path / "one.json", entry()))
    for command in (
        ["load", path],
        ["export", path],
        ["diff", path],
        ["show"],
        ["retire", "PROD-1"],
    ):
        assert catalogue.main([*command, *access]) == 2
        assert capsys.readouterr().err.startswith(message)


@pytest.mark.usefixtures("sleeps")
def test_https_address_without_tls_fails_with_one_sentence(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("http:", "https:")
    assert run(fake, "export", tmp_path / "export.json") == 2
    assert capsys.readouterr().err.startswith(
        f"No secure connection to {fake.base_url}: check the address"
    )


@pytest.mark.usefixtures("sleeps")
def test_dropped_connections_fail_with_one_sentence(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(Fault.DROP, times=6)
    assert run(fake, "export", tmp_path / "export.json") == 2
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
    assert run(fake, "export", tmp_path / "export.json") == 2
    assert "sent no response within 0.05 s: check the address" in capsys.readouterr().err


def test_address_of_website_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(FakeResponse(200, "<html>"), times=2)
    assert run(fake, "export", tmp_path / "export.json") == 2
    assert "is not the product API (HTTP 200, not JSON)" in capsys.readouterr().err
    assert run(fake, "load", write_catalogue(tmp_path / "one.json", entry())) == 2
    assert "is not the product API (HTTP 200, not JSON)" in capsys.readouterr().err


def test_address_of_other_api_fails(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("v1.0", "v2.0")
    path = write_catalogue(tmp_path / "one.json", entry())
    for arguments in (["load", path], ["load", "--dry-run", path], ["export", path], ["show"]):
        assert run(fake, *arguments) in (1, 2)
        assert "HTTP 404: There is no such route. (request request-1)" in capsys.readouterr().err


def test_redirect_is_not_followed(fake: FakeProductApi, tmp_path: Path) -> None:
    with serving_fake_api() as elsewhere:
        fake.fail_next(FakeResponse(307, "", {"Location": f"{elsewhere.base_url}/products"}))
        assert run(fake, "export", tmp_path / "export.json") == 2
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["show"], "set BASE_URL, or give --base-url"),
        (["load", "a.json", "--only-missing", "--retire-missing"], "not allowed with"),
        (["retire", "--base-url", "http://h/v1.0"], "required: ID"),
    ],
)
def test_invalid_arguments_end_with_2_and_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        catalogue.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("base_url", "key", "message"),
    [
        ("127.0.0.1/v1.0", "k", "is not an API address: give one like"),
        ("http://[/v1.0", "k", "is not an API address: give one like"),
        ("http://h/v1.0/products", "k", "ends just before /products"),
        ("http://h/v1.0", "a\nb", "API key contains invalid characters"),
    ],
)
def test_invalid_address_or_key_ends_with_2_and_sentence(
    base_url: str, key: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalogue.main(["show", "--base-url", base_url, "--api-key", key]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["load", "a.json"],
        ["load", "a.json", "--dry-run"],
        ["retire", "PROD-1"],
        ["restore", "PROD-1"],
        ["show", "--deleted"],
    ],
    ids=" ".join,
)
def test_missing_key_ends_with_2_before_requests(
    command: list[str], fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalogue.main([*command, "--base-url", fake.base_url]) == 2
    assert capsys.readouterr().err == "An API key is needed: set API_KEY, or give --api-key.\n"
    assert fake.requests == []


@pytest.mark.parametrize("command", ["load", "export", "diff"])
def test_invalid_file_extension_ends_with_2_before_requests(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(fake, command, tmp_path / "catalogue.txt") == 2
    assert "must end in .yaml, .yml, .json or .csv" in capsys.readouterr().err
    assert fake.requests == []


def test_empty_catalogue_changes_nothing(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fake, "load", write_catalogue(tmp_path / "none.json")) == 0
    assert "Nothing to change" in capsys.readouterr().out


def interrupted(fake: FakeProductApi, *arguments: object) -> tuple[int, str, str]:
    """Run a command and interrupt it in a request that hangs; return its exit code and output."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments), "--base-url", fake.base_url],
        env={**os.environ, "API_KEY": fake.api_key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        fake.wait_for_hanging_request()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_interrupted_run_prints_products_not_tried(fake: FakeProductApi, tmp_path: Path) -> None:
    path = write_catalogue(tmp_path / "two.json", entry(), entry())
    fake.fail_next(Fault.HANG, method="POST")
    exit_code, out, err = interrupted(fake, "load", path)
    assert exit_code == 130
    assert "2 not tried." in out
    assert err == "Interrupted: run the same command again to do the rest.\n"


def test_interrupted_export_writes_no_file(fake: FakeProductApi, tmp_path: Path) -> None:
    fake.fail_next(Fault.HANG, method="GET")
    assert interrupted(fake, "export", tmp_path / "export.csv") == (130, "", "Interrupted.\n")
    assert list(tmp_path.iterdir()) == []
