"""Validation of a deployment: its checks and messages, and the deletion of its product.

Successful runs use the real and the fake API; faults and stop signals need the fake one.
"""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import urllib3

import validate_deployment
from product_tools import validation
from tests.support.fake_product_api import FakeProductApi, FakeResponse, Fault, Target, problem

SCRIPT = Path(validate_deployment.__file__)
ALL_CHECKS = [*validation.CHECKS, validation.CLEAN_UP]

pytestmark = pytest.mark.usefixtures("script_environment", "sleeps")


def validate(target: Target, *arguments: str) -> int:
    access = ["--base-url", target.base_url, "--api-key", target.api_key, "--samples", "5"]
    return validate_deployment.main([*access, "--budget-ms", "5000", *arguments])


def report_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def add_product(fake: FakeProductApi, product_id: str) -> None:
    fake.products[product_id] = {"productId": product_id, "active": True, "version": 1}


def results(report: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["result"] for check in report["checks"]}


def message(report: dict[str, Any], name: str) -> str:
    return next(str(check["message"]) for check in report["checks"] if check["name"] == name)


def test_healthy_api_passes_and_no_product_is_left(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(target, "--json") == 0
    report = report_of(capsys)
    assert report["passed"] is True
    assert report["stoppedBy"] is None
    assert report["baseUrl"] == target.base_url
    assert results(report) == dict.fromkeys(ALL_CHECKS, "passed")
    for latency in report["latencies"]:
        assert 0 < latency["p50Ms"] <= latency["p95Ms"] < latency["budgetMs"] == 5000
        assert latency["samples"] == 5
    product_id = message(report, "create a product").split()[0]
    assert product_id.startswith("PROD-SMOKE-")
    left = urllib3.request("GET", f"{target.base_url}/products/{product_id}")
    assert left.status == 404


def test_table_lists_every_check_and_verdict(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(fake) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in ALL_CHECKS)
    assert output.rstrip().endswith(f"{fake.base_url} passed every check.")


def test_reads_measure_last_listed_product(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    for product_id in ("PROD-001", "PROD-002"):
        add_product(fake, product_id)

    assert validate(fake, "--json") == 0

    report = report_of(capsys)
    assert message(report, "read a listed product") == "/products/PROD-001 was read"
    assert [latency["operation"] for latency in report["latencies"]] == [
        "GET /products",
        "GET /products/PROD-001",
    ]


def test_product_of_other_validation_is_not_measured(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    add_product(fake, "PROD-SMOKE-0123456789AB")
    add_product(fake, "PROD-001")

    assert validate(fake, "--json") == 0

    assert message(report_of(capsys), "read a listed product") == "/products/PROD-001 was read"


def test_empty_catalogue_passes_without_measured_reads(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(fake, "--json") == 0

    report = report_of(capsys)
    assert "the catalogue is empty" in message(report, "latency of a read by id")
    assert [latency["operation"] for latency in report["latencies"]] == ["GET /products"]


@pytest.mark.parametrize("product_ids", [[], ["PROD-001"]], ids=["empty catalogue", "catalogue"])
def test_validation_cannot_cause_alarm(fake: FakeProductApi, product_ids: list[str]) -> None:
    for product_id in product_ids:
        add_product(fake, product_id)
    access = ["--base-url", fake.base_url, "--api-key", fake.api_key, "--budget-ms", "5000"]

    assert validate_deployment.main(access) == 0

    assert [status for status in fake.statuses if status >= 400] == [404]  # after the deletion
    assert len(fake.statuses) > 50  # so that this 404 is rare: the alarm fires above 20 %
    # Below 200 values, CloudWatch does not evaluate a p95 that ignores low samples.
    assert len(fake.statuses) < 200


def test_wrong_key_fails_creation_and_skips_other_writes(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    access = ["--base-url", target.base_url, "--api-key", "no-such-key-0123456789"]
    assert validate_deployment.main([*access, "--samples", "1", "--json"]) == 1
    report = report_of(capsys)
    assert message(report, "create a product").startswith(
        "POST /products should return 201, but returned HTTP 403: "
    )
    assert "check the API key" in message(report, "create a product")
    assert results(report)["list products"] == "passed"
    assert results(report)["update the new product"] == "not run"
    assert message(report, "clean up") == "no product is left behind"


def test_address_without_api_skips_later_checks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--base-url", "http://127.0.0.1:1/v1.0", "--api-key", "key"]
    assert validate_deployment.main(arguments) == 1
    output = capsys.readouterr().out
    assert "No server listens at http://127.0.0.1:1/v1.0: start the API" in output
    assert output.count("not run") == 7
    assert "failed: see the failed checks above." in output


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (
            problem(404, "route-not-found", "There is no such route."),
            (
                "GET /products should return 200, but returned HTTP 404: There is no such"
                " route. (request request-1): check the address, which ends just before /products."
            ),
        ),
        (
            FakeResponse(502, {"message": "Internal server error"}, {"x-request-id": "r-9"}),
            (
                "GET /products should return 200, but returned HTTP 502: Internal server"
                " error (request r-9): look for the request in the functions' logs."
            ),
        ),
        (
            FakeResponse(418, {}),
            (
                "GET /products should return 200, but returned HTTP 418: no reason given:"
                " check that the deployed version is the one that this repository describes."
            ),
        ),
        (
            FakeResponse(200, {"products": [{"name": "no id"}]}),
            (
                "GET /products returned no list of products:"
                " check the address, which ends just before /products."
            ),
        ),
    ],
    ids=["missing route", "server error", "other status", "no list"],
)
def test_failed_check_names_next_step(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str], response: FakeResponse, sentence: str
) -> None:
    fake.fail_next(response)
    assert validate(fake, "--json") == 1
    assert message(report_of(capsys), "list products") == sentence


def test_hanging_api_fails_after_timeout(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("product_tools.api_client.READ_SECONDS", 0.05)
    fake.fail_next(Fault.HANG, times=3)
    assert validate(fake, "--json") == 1
    sentence = message(report_of(capsys), "list products")
    assert "sent no response within 0.05 s: check the address and the network" in sentence


def test_reads_over_budget_fail_with_measured_latency(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    add_product(fake, "PROD-001")
    assert validate(fake, "--json", "--budget-ms", "0.001") == 1
    report = report_of(capsys)
    assert results(report)["latency of the list"] == "failed"
    assert results(report)["latency of a read by id"] == "failed"
    sentence = message(report, "latency of the list")
    assert sentence.startswith("GET /products is too slow: p50 ")
    assert "but the budget for p95 is 0.001 ms: measure again from near the region" in sentence
    assert report["latencies"][0]["p95Ms"] > 0


def test_measured_reads_stay_below_shared_rate_limit(
    fake: FakeProductApi, sleeps: list[float]
) -> None:
    assert validate(fake, "--samples", "100") == 0
    assert fake.methods().count("GET") / sum(sleeps) <= 25  # requests a second; users have 100


def test_error_response_is_not_measured_as_read(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    add_product(fake, "PROD-001")
    successful_reads = ["list", "PROD-001", "read back", "after deletion"]
    for _ in successful_reads:
        fake.let_pass(method="GET")
    fake.fail_next(problem(500, "internal-error", "A server error."), method="GET")
    assert validate(fake, "--json") == 1
    report = report_of(capsys)
    assert "HTTP 500: A server error." in message(report, "latency of the list")
    assert results(report)["latency of a read by id"] == "passed"


def test_percentile_95_is_nearest_rank() -> None:
    assert validation.percentile_95([7.0]) == 7.0
    assert validation.percentile_95([float(n) for n in range(100, 0, -1)]) == 95.0


@pytest.mark.parametrize(
    ("check", "method", "response", "sentence"),
    [
        (
            "create a product",
            "POST",
            FakeResponse(201, {}, {"ETag": '"1"', "Location": "/elsewhere"}),
            "returned Location '/elsewhere' and ETag \"1\": check that the deployed version",
        ),
        (
            "update the new product",
            "PUT",
            FakeResponse(200, {"price": 1}, {"ETag": '"2"'}),
            "returned price 1 instead of 4.56: check that the deployed version",
        ),
        (
            "update the new product",
            "PUT",
            FakeResponse(200, {"price": Decimal("4.56")}, {"ETag": '"1"'}),
            "returned no new ETag: check that the deployed version",
        ),
        (
            "delete the new product",
            "DELETE",
            FakeResponse(500),
            "should return 204, but returned HTTP 500",
        ),
    ],
    ids=["create", "update", "update without a new ETag", "delete"],
)
def test_wrong_response_fails_check_but_product_is_deleted(
    fake: FakeProductApi, check: str, method: str, response: FakeResponse, sentence: str
) -> None:
    fake.fail_next(response, method=method)
    with running(fake, "--json") as run:
        out, _ = run.communicate(timeout=30)
    assert run.returncode == 1
    report = json.loads(out)
    assert sentence in message(report, check)
    assert results(report)["clean up"] == "passed"
    assert fake.active() == {}


def test_failed_deletion_names_product_and_next_step(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(FakeResponse(500), method="DELETE", times=2)
    assert validate(fake, "--json") == 1
    (product_id,) = fake.active()
    sentence = message(report_of(capsys), "clean up")
    assert sentence.startswith(f"{product_id} may be left behind (HTTP 500: no reason given)")
    assert f"curl -X DELETE -H 'x-api-key: …' {fake.base_url}/products/{product_id}" in sentence


def test_deletion_without_connection_names_product(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(Fault.DROP, method="DELETE", times=6)
    assert validate(fake, "--json") == 1
    (product_id,) = fake.active()
    sentence = message(report_of(capsys), "clean up")
    assert sentence.startswith(f"{product_id} may be left behind (The connection to ")


def test_other_product_with_same_id_is_not_deleted(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(problem(409, "duplicate-product", "The id is taken."), method="POST")
    assert validate(fake, "--json") == 1
    assert message(report_of(capsys), "clean up") == "no product is left behind"
    assert "DELETE" not in fake.methods()


def test_creation_without_response_is_settled_before_delete(
    fake: FakeProductApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fail_next(Fault.DROP, method="POST", times=3)
    in_flight = problem(409, "idempotency-key-in-flight", "The first request is still running.")
    fake.fail_next(in_flight, method="POST", times=2)
    assert validate(fake, "--json") == 1
    report = report_of(capsys)
    assert results(report)["create a product"] == "failed"
    assert message(report, "clean up").endswith("was deleted")
    assert fake.active() == {}
    assert len(fake.products) == 1
    keys = {sent.headers["idempotency-key"] for sent in fake.requests if sent.method == "POST"}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault.DROP, 6),
        (problem(409, "idempotency-key-in-flight", "The first request is still running."), 5),
    ],
    ids=["no response", "creation in flight"],
)
def test_unsettled_creation_names_next_step(
    fake: FakeProductApi,
    capsys: pytest.CaptureFixture[str],
    fault: FakeResponse | Fault,
    times: int,
) -> None:
    fake.fail_next(Fault.DROP, method="POST", times=3)
    fake.fail_next(fault, method="POST", times=times)
    assert validate(fake, "--json") == 1
    assert "may be left behind (HTTP 404" in message(report_of(capsys), "clean up")


@pytest.mark.parametrize(
    ("method", "count", "stop"),
    [
        ("GET", 1, signal.SIGINT),
        ("POST", 1, signal.SIGINT),
        ("GET", 3, signal.SIGTERM),
        ("PUT", 1, signal.SIGHUP),
        ("DELETE", 1, signal.SIGTERM),
        ("GET", 4, signal.SIGINT),
        ("GET", 7, signal.SIGHUP),
    ],
)
def test_stop_signal_at_any_request_leaves_no_product(
    fake: FakeProductApi, method: str, count: int, stop: signal.Signals
) -> None:
    for _ in range(count - 1):
        fake.let_pass(method=method)
    fake.fail_next(Fault.HANG, method=method)
    with running(fake, "--json") as run:
        fake.wait_for_hanging_request()
        run.send_signal(stop)
        fake.release.set()
        out, err = run.communicate(timeout=30)
    assert run.returncode == 128 + stop
    assert err == ""
    assert json.loads(out)["stoppedBy"] == stop.name
    assert fake.active() == {}


def test_creation_completed_after_stop_leaves_no_product(
    fake: FakeProductApi,
) -> None:
    fake.fail_next(Fault.HANG, method="POST")
    with running(fake, "--json") as run:
        fake.wait_for_hanging_request()
        run.send_signal(signal.SIGTERM)
        out, _ = run.communicate(timeout=30)
    assert results(json.loads(out))["clean up"] == "passed"
    fake.finish_hanging_request()
    assert fake.active() == {}


def test_second_signal_does_not_stop_clean_up(fake: FakeProductApi) -> None:
    fake.fail_next(Fault.HANG, method="PUT")
    fake.fail_next(Fault.HANG, method="DELETE")
    with running(fake) as run:
        fake.wait_for_hanging_request()
        run.send_signal(signal.SIGINT)
        fake.wait_for_hanging_request()
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGTERM)
        fake.release.set()
        out, err = run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGINT
    assert err == ""
    assert "Stopped by SIGINT before the last check: run it again." in out
    assert fake.active() == {}


def test_signal_during_clean_up_does_not_stop_it(fake: FakeProductApi) -> None:
    fake.fail_next(FakeResponse(500), method="DELETE")
    fake.fail_next(Fault.HANG, method="DELETE")
    with running(fake, "--json") as run:
        fake.wait_for_hanging_request()
        run.send_signal(signal.SIGINT)
        fake.release.set()
        out, _ = run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGINT
    assert results(json.loads(out))["clean up"] == "passed"
    assert fake.active() == {}


def running(fake: FakeProductApi, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--base-url", fake.base_url, "--samples", "5", *arguments],
        env={**os.environ, "API_KEY": fake.api_key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--base-url"),
        (["--base-url", "http://h/v1.0"], "set API_KEY, or give --api-key"),
        (["--base-url", "h/v1.0", "--api-key", "k"], "is not an API address: give one like"),
        (["--base-url", "http://h", "--api-key", "k", "--samples", "0"], "0 must be 1 or more"),
        (["--base-url", "http://h", "--api-key", "k", "--budget-ms", "nan"], "must be above 0"),
    ],
    ids=["no URL", "no key", "invalid URL", "no samples", "invalid budget"],
)
def test_invalid_arguments_exit_with_2_and_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        validate_deployment.main(arguments)
    assert end.value.code == 2
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.out == ""
