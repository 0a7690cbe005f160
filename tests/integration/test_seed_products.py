"""Loading and exporting a catalogue over HTTP: what is done, what is said, and how faults end.

Ordinary use is tried on the real API and on the fake one alike, so that the fake cannot lie.
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


# --- ordinary use, on both APIs


def test_what_is_missing_is_created_with_its_id_and_exact_amounts(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry(price=Decimal("19.99"), setupFee=Decimal("0.1"), currency="NAD")
    assert seed(target, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    created = product_on(target, product["productId"])
    assert {field: created[field] for field in product} == product
    assert "1 created." in capsys.readouterr().out


def test_a_second_run_changes_nothing_and_says_so(
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


def test_only_what_differs_is_updated_and_a_set_up_fee_left_out_is_removed(
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


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present, missing = entry(), entry()
    seed(target, "--file", write_catalogue(tmp_path / "a.json", present))
    path = write_catalogue(tmp_path / "b.json", present | {"name": "Other"}, missing)
    assert seed(target, "--dry-run", "--file", path) == 0
    said = capsys.readouterr().out
    assert "would be updated: name" in said
    assert "1 would be created, 1 would be updated." in said
    assert product_on(target, present["productId"])["version"] == 1
    assert send(target, "GET", missing["productId"]).status == 404
    path = write_catalogue(tmp_path / "c.json", present)
    assert seed(target, "--dry-run", "--file", path) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_a_product_that_was_deleted_on_the_server_is_named_with_the_next_step(
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
    assert "give it another productId, or take it out of the file" in output.err


def test_a_wrong_key_is_told_in_the_words_of_the_api(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    path = write_catalogue(tmp_path / "one.json", product)
    access = ("--base-url", target.base_url, "--api-key", "no-such-key-0123456789")
    assert seed_products.main([*access, "--file", str(path)]) == 1
    assert f"{product['productId']} failed: HTTP 403: " in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_an_export_carries_the_whole_catalogue_elsewhere(
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


def test_an_export_holds_active_products_only(target: Target, tmp_path: Path) -> None:
    deleted = entry()
    seed(target, "--file", write_catalogue(tmp_path / "one.json", deleted))
    send(target, "DELETE", deleted["productId"])
    export = tmp_path / "export.yaml"
    assert seed(target, "--export", export) == 0
    assert deleted["productId"] not in export.read_text()


# --- faults, on the fake API


def test_the_five_plans_are_loaded_by_default_as_a_program_with_the_key_from_the_environment(
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


def test_throttling_and_outages_are_waited_out_with_growing_waits_or_as_told(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(429, "throttled", "Too many requests.", **{"Retry-After": "7"}))
    fake.fail_next(problem(503, "service-unavailable", "Try again."), times=2)
    path = write_catalogue(tmp_path / "one.json", entry())
    assert seed(fake, "--file", path) == 0
    assert sleeps[0] == 7
    assert 1 <= sleeps[1] < sleeps[2] < 2 + 0.5 + 1
    assert fake.methods() == ["GET", "GET", "GET", "GET", "POST"]


def test_a_creation_is_retried_under_the_same_idempotency_key(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(Fault.LOSE_ANSWER, method="POST")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", entry())) == 0
    keys = [sent.headers["idempotency-key"] for sent in fake.requests if sent.method == "POST"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert sleeps == []


def test_an_update_whose_answer_was_lost_is_recognised(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 4}
    fake.fail_next(Fault.LOSE_ANSWER, method="PUT")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    assert fake.products[product["productId"]]["version"] == 5
    assert [sent.headers["if-match"] for sent in fake.requests if sent.method == "PUT"] == [
        '"4"'
    ] * 2
    assert sleeps == []


def test_a_product_that_others_keep_changing_is_named(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 4}
    fake.fail_next(problem(412, "precondition-failed", "Another version."), method="PUT", times=3)
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 1
    assert "failed: others keep changing it: load the file again" in capsys.readouterr().err


def test_a_product_that_another_run_created_meanwhile_is_brought_in_line(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = entry()
    fake.products[product["productId"]] = product | {"name": "Old", "active": True, "version": 1}
    fake.fail_next(problem(404, "product-not-found", "There is no such product."), method="GET")
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", product)) == 0
    assert "1 updated." in capsys.readouterr().out


def test_every_product_that_the_api_refuses_is_named_and_the_others_are_loaded(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, worse, changed, good = entry(), entry(), entry(), entry()
    errors = [{"field": "name", "message": "is too long"}, {"field": "price", "message": "is 0"}]
    invalid = problem(400, "validation-error", "The product is not valid.")
    assert isinstance(invalid.body, dict)
    fake.products[changed["productId"]] = changed | {"name": "Old", "active": True, "version": 1}
    fake.fail_next(
        FakeResponse(400, invalid.body | {"errors": errors}, invalid.headers), method="POST"
    )
    fake.fail_next(FakeResponse(413, {"message": "Too large"}), method="POST")
    fake.fail_next(problem(500, "internal-error", "A fault of ours."), method="PUT")
    path = write_catalogue(tmp_path / "four.json", bad, worse, changed, good)
    assert seed(fake, "--file", path) == 1
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        f"{bad['productId']} failed: HTTP 400: name: is too long; price: is 0 (request request-1)",
        f"{worse['productId']} failed: HTTP 413: Too large",
        f"{changed['productId']} failed: HTTP 500: A fault of ours. (request request-1)",
    ]
    assert "1 created, 3 failed." in output.out
    assert list(fake.active()) == [changed["productId"], good["productId"]]


def test_an_api_that_stays_out_of_service_ends_the_run_and_tells_what_was_not_tried(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], sleeps: list[float]
) -> None:
    fake.fail_next(problem(503, "read-only", "The catalogue is read-only."), method="POST", times=6)
    assert seed(fake, "--file", write_catalogue(tmp_path / "two.json", entry(), entry())) == 1
    output = capsys.readouterr()
    assert "2 not tried." in output.out
    assert output.err == (
        "The API turned POST /products down 6 times (HTTP 503: The catalogue is read-only."
        " (request request-1)): try again later.\n"
    )
    assert len(sleeps) == 4


def test_a_wait_asked_for_is_capped(
    fake: FakeProductApi, tmp_path: Path, sleeps: list[float]
) -> None:
    fake.fail_next(problem(503, "service-unavailable", "Wait.", **{"Retry-After": "86400"}))
    assert seed(fake, "--file", write_catalogue(tmp_path / "one.json", entry())) == 0
    assert sleeps == [30]


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://127.0.0.1:1/v1.0", "Nothing answers at http://127.0.0.1:1/v1.0: start the API"),
        ("http://no-such-host.invalid", "The host of http://no-such-host.invalid is not known"),
    ],
)
@pytest.mark.usefixtures("sleeps")
def test_an_address_with_no_api_is_told_in_one_sentence(
    base_url: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--base-url", base_url, "--api-key", "key"]
    assert seed_products.main(arguments) == 1
    assert capsys.readouterr().err.startswith(said)
    assert seed_products.main([*arguments, "--export", str(tmp_path / "export.json")]) == 1
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.usefixtures("sleeps")
def test_an_address_without_tls_is_told_when_https_is_asked_for(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("http:", "https:")
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert capsys.readouterr().err.startswith(f"No secure way to {fake.base_url}: check the addr")


@pytest.mark.usefixtures("sleeps")
def test_a_connection_that_keeps_breaking_is_told_in_one_sentence(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(Fault.DROP, times=6)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert capsys.readouterr().err.startswith(f"The connection to {fake.base_url} broke: try again")


@pytest.mark.usefixtures("sleeps")
def test_an_api_that_hangs_is_given_up_in_one_sentence(
    fake: FakeProductApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("product_tools.api_client.READ_SECONDS", 0.05)
    fake.fail_next(Fault.HANG, times=6)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "did not answer within 0.05 s: check the address" in capsys.readouterr().err


def test_a_website_at_the_address_is_told_from_the_api(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(FakeResponse(200, "<html>"), times=2)
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "does not answer as the product API does (HTTP 200, not JSON)" in capsys.readouterr().err
    assert seed(fake) == 1
    assert "does not answer as the product API does (HTTP 200, not JSON)" in capsys.readouterr().err


def test_another_api_at_the_address_is_told_from_this_one(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.base_url = fake.base_url.replace("v1.0", "v2.0")
    assert seed(fake, "--export", tmp_path / "export.json") == 1
    assert "HTTP 404: There is no such route. (request request-1)" in capsys.readouterr().err
    assert seed(fake, "--dry-run") == 1
    assert "PROD-005 failed: HTTP 404: There is no such route." in capsys.readouterr().err


def test_the_key_does_not_follow_a_redirect(fake: FakeProductApi, tmp_path: Path) -> None:
    with serving_fake_api() as elsewhere:
        fake.fail_next(FakeResponse(307, "", {"Location": f"{elsewhere.base_url}/products"}))
        assert seed(fake, "--export", tmp_path / "export.json") == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--base-url"),
        (["--base-url", "http://127.0.0.1/v1.0"], "set API_KEY, or give --api-key"),
        (["--base-url", "127.0.0.1/v1.0", "--api-key", "k"], "is no API address: give one like"),
        (["--base-url", "http://[/v1.0", "--api-key", "k"], "is no API address: give one like"),
        (["--base-url", "http://h/v1.0/products", "--api-key", "k"], "ends just before /products"),
        (["--base-url", "http://h/v1.0", "--api-key", "a\nb"], "API key holds characters"),
        (["--base-url", "http://h", "--dry-run", "--export", "a.json"], "leave --dry-run out"),
        (["--base-url", "http://h", "--file", "a", "--export", "b"], "not allowed with"),
    ],
)
def test_arguments_that_cannot_be_used_end_with_2_and_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        seed_products.main(arguments)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("direction", ["--file", "--export"])
def test_a_catalogue_file_that_cannot_be_used_ends_with_2_before_any_request(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], direction: str
) -> None:
    assert seed(fake, direction, tmp_path / "catalogue.txt") == 2
    assert "must end in .yaml, .yml or .json" in capsys.readouterr().err
    assert fake.requests == []


def test_an_empty_catalogue_changes_nothing(
    fake: FakeProductApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seed(fake, "--file", write_catalogue(tmp_path / "none.json")) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_interrupting_says_what_was_not_done_and_how_to_go_on(
    fake: FakeProductApi, tmp_path: Path
) -> None:
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
    assert err == "Interrupted: give the same command again to do the rest.\n"
