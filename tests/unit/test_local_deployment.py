"""The functions that the commands for local deployments share."""

import json
import stat
from pathlib import Path

import pytest

from local.deployment import (
    one_line_per_step,
    one_run_at_a_time,
    read_description,
    write_description,
)
from local.stack import FEATURES, Deployment, LocalStack, LocalStackError, features_from


def test_second_run_is_rejected(tmp_path: Path) -> None:
    lock_file = tmp_path / "new folder" / "lock"

    with (
        one_run_at_a_time(lock_file),
        pytest.raises(LocalStackError, match=r"^Another run uses the same deployment: wait"),
        one_run_at_a_time(lock_file),
    ):
        pass


def test_next_run_is_accepted(tmp_path: Path) -> None:
    for _ in range(2):
        with one_run_at_a_time(tmp_path / "lock"):
            pass


def deployment(api_key: str) -> Deployment:
    return Deployment(
        "http://127.0.0.1:1/v1_0",
        api_key,
        "http://127.0.0.1:1",
        "eu-west-1",
        "dev",
        ("async_writes", "audit_log"),
        changed=True,
    )


def test_description_says_how_to_reach_the_stack(tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    write_description(deployment("key"), file)

    assert read_description(file) == json.loads(file.read_text())
    assert read_description(file) == {
        "baseUrl": "http://127.0.0.1:1/v1_0",
        "apiKey": "key",
        "endpointUrl": "http://127.0.0.1:1",
        "region": "eu-west-1",
        "environment": "dev",
        "features": "async_writes,audit_log",
    }


def test_missing_description_names_next_step(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="no local deployment: run make deploy-local"):
        read_description(tmp_path / "deployment.json")


def test_description_is_readable_only_for_user(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "deployment.json"
    for key in ("old", "new"):
        write_description(deployment(key), file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("audit_log", {"audit_log"}),
        ("audit_log, async_writes", {"audit_log", "async_writes"}),
        ("all", set(FEATURES)),
    ],
)
def test_features_are_read_from_a_list(text: str, expected: set[str]) -> None:
    assert features_from(text) == expected


@pytest.mark.parametrize("text", ["audit", "audit_log,audit", "audit_log all", "enable_audit_log"])
def test_unknown_feature_names_the_known_ones(text: str) -> None:
    with pytest.raises(
        LocalStackError,
        match=rf"^There is no feature .*: give {', '.join(FEATURES)}, or all\.$",
    ):
        features_from(text)


def test_features_switch_on_their_variables(tmp_path: Path) -> None:
    values = LocalStack(tmp_path, features=["audit_log"]).local_values()

    assert {name: values[name] for name in FEATURES.values()} == {
        "enable_change_events": False,
        "enable_audit_log": True,
        "enable_cloudfront_cache": False,
        "enable_async_writes": False,
        "enable_opensearch": False,
    }


def test_search_index_waits_where_no_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = LocalStack(tmp_path, features=["opensearch"])
    monkeypatch.delenv("PRODUCT_OPENSEARCH_URL", raising=False)
    assert stack.local_values()["pause_search_index"] is True

    monkeypatch.setenv("PRODUCT_OPENSEARCH_URL", "http://127.0.0.1:9201")
    values = stack.local_values()

    assert values["pause_search_index"] is False
    assert values["opensearch_endpoint"] == "http://127.0.0.1:9201"


def test_each_step_is_reported_once() -> None:
    steps: list[str] = []
    report = one_line_per_step(steps.append)
    for line in (
        "Planning the table",
        "Deploying the table: 1 of 2",
        "Deploying the table: 2 of 2",
    ):
        report(line)

    assert steps == ["Planning the table", "Deploying the table"]
