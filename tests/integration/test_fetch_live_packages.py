"""Download of the running code: from the engine, and with other responses of Lambda.

The engine has only the newest code of a function. A stub has the code of each version, as AWS does.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fetch_live_packages
from product_tools.functions import FUNCTIONS, function_name
from product_tools.package_sums import checked_packages
from tests.support.function_stack import FIRST, FunctionStack, zipped
from tests.support.stub_server import StubServer, stub_server

GET_FIRST = f"GET *functions/{FIRST}?Qualifier=1"


def fetch(folder: Path) -> int:
    """Run the command with another folder than dist/."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fetch_live_packages, "PACKAGES", folder)
        return fetch_live_packages.main(["--environment", "dev"])


def function_with(code: bytes, location: str) -> dict[str, Any]:
    """Return a response of GetFunction."""
    checksum = base64.b64encode(hashlib.sha256(code).digest()).decode()
    return {"Configuration": {"CodeSha256": checksum}, "Code": {"Location": location}}


@pytest.mark.usefixtures("stack")
def test_zips_and_checksums_of_live_versions_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(tmp_path / "dist") == 0

    digest = hashlib.sha256(zipped("1")).hexdigest()
    names = ["create_product", "delete_product", "get_product", "list_products", "update_product"]
    assert checked_packages(tmp_path / "dist") == dict.fromkeys(names, digest)
    assert f"list_products.zip is version 1 of {FIRST} ({digest})" in capsys.readouterr().out


def test_zip_of_event_function_that_is_on_is_fetched(stack: FunctionStack, tmp_path: Path) -> None:
    name = function_name("audit_logger", "dev")
    stack.create_function(name)
    try:
        assert fetch(tmp_path) == 0
    finally:
        stack.functions.delete_function(FunctionName=name)

    assert checked_packages(tmp_path).keys() == {*FUNCTIONS, "audit_logger"}


@pytest.mark.usefixtures("stack")
def test_other_packages_in_folder_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "old_function.zip").write_bytes(b"old")
    (tmp_path / "get_product.zip").write_bytes(b"newer than the running release")
    (tmp_path / "bill.cdx.json").write_text("{}")

    assert fetch(tmp_path) == 0

    assert len(checked_packages(tmp_path)) == 5
    assert (tmp_path / "bill.cdx.json").exists()


def test_code_of_live_version_is_fetched_not_the_newest(
    stack: FunctionStack, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_server(engine) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        live = zipped("1")
        aws.respond(GET_FIRST, function_with(live, f"{aws.endpoint_url}/code?signature"))
        aws.respond_bytes("GET /code?signature", live)
        stack.publish(FIRST)

        assert fetch(tmp_path) == 0

    assert (tmp_path / "list_products.zip").read_bytes() == live


@pytest.fixture
def aws(
    stack: FunctionStack,  # noqa: ARG001 -- its functions
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StubServer]:
    """Lambda with other responses on demand."""
    with stub_server(engine) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield server


def test_changed_code_is_rejected_and_folder_unchanged(
    aws: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "get_product.zip").write_bytes(b"before")
    aws.respond(GET_FIRST, function_with(b"deployed", f"{aws.endpoint_url}/code?signature"))
    aws.respond_bytes("GET /code?signature", b"something else")

    assert fetch(tmp_path) == 1

    assert f"is not that of version 1 of {FIRST}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["get_product.zip"]
    assert (tmp_path / "get_product.zip").read_bytes() == b"before"


def test_rejected_download_is_one_sentence_without_url(
    aws: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.respond(GET_FIRST, function_with(b"", f"{aws.endpoint_url}/code?signature"))
    aws.respond("GET /code?signature", "<Error/>", 403)

    assert fetch(tmp_path) == 1

    [sentence] = capsys.readouterr().err.splitlines()
    assert f"The zip of {FIRST} could not be downloaded (HTTP 403)" in sentence
    assert "signature" not in sentence


@pytest.mark.usefixtures("sleeps")
def test_unreachable_download_is_one_sentence_without_url(
    aws: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.respond(GET_FIRST, function_with(b"", "http://127.0.0.1:1/code?signature"))

    assert fetch(tmp_path) == 1

    [sentence] = capsys.readouterr().err.splitlines()
    assert "could not be downloaded" in sentence
    assert "signature" not in sentence


def test_unfinished_shift_is_rejected(
    stack: FunctionStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.start_shift(FIRST)

    assert fetch(tmp_path) == 1

    assert f"Two versions of {FIRST} are live" in capsys.readouterr().err


def test_denied_call_is_one_sentence(
    aws: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny(GET_FIRST)

    assert fetch(tmp_path) == 1

    assert "AccessDenied" in capsys.readouterr().err


def test_missing_region_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert fetch(tmp_path) == 1

    assert "region" in capsys.readouterr().err
