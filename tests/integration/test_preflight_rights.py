"""The preflight with the rights that the deployment runbook names, where IAM is enforced."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import preflight
from local.engine import Engine
from product_tools import environment_files
from tests.support.github_settings import GitHubSettings
from tests.support.prepared_account import PreparedAccount
from tests.support.stub_server import stub_server
from tests.support.terraform_files import TerraformFiles

RUNBOOK = Path(__file__).resolve().parents[2] / "docs/runbooks/product_lambda_deployment.md"
[BLOCK] = re.findall(r"^```json\n(.*?)^```", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
POLICY = json.loads(BLOCK)
ACTIONS = [action for statement in POLICY["Statement"] for action in statement["Action"]]


@pytest.fixture
def enforced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: GitHubSettings
) -> Iterator[PreparedAccount]:
    """A complete account that enforces IAM."""
    repository.add_environments_of_dev()
    files = TerraformFiles(tmp_path / "terraform")
    monkeypatch.setattr(environment_files, "TERRAFORM_FOLDER", files.folder)
    folder = tmp_path / "engine"
    with (
        Engine(folder, enforce_iam=True, account_id=files.account) as engine,
        stub_server(engine.endpoint_url) as stub,
    ):
        stub.respond("GetServiceQuota", {"Quota": {"Value": 600.0}})
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.endpoint_url)
        account = PreparedAccount(files, engine.endpoint_url)
        account.prepare()
        yield account


def sign_in_as_reader(
    account: PreparedAccount, environment: pytest.MonkeyPatch, policy: dict[str, Any]
) -> None:
    """Make a user with a policy, and use its access key."""
    client = account.client("iam")
    client.create_user(UserName="reader")
    client.put_user_policy(
        UserName="reader", PolicyName="rights", PolicyDocument=json.dumps(policy)
    )
    key = client.create_access_key(UserName="reader")["AccessKey"]
    environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])


def test_rights_of_runbook_are_enough(
    enforced: PreparedAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sign_in_as_reader(enforced, monkeypatch, POLICY)

    code = preflight.main(["--environment", "dev"])

    printed = capsys.readouterr().out
    assert "not allowed to look" not in printed
    assert (code, ", 0 missing, 0 unchecked." in printed) == (0, True), printed


def test_without_rights_all_is_unchecked(
    enforced: PreparedAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
    sign_in_as_reader(enforced, monkeypatch, {**POLICY, "Statement": [nothing]})

    assert preflight.main(["--environment", "dev"]) == 0

    printed = capsys.readouterr().out
    assert printed.count("not allowed to look") >= len(ACTIONS) - 2


def test_rights_read_neither_products_nor_keys() -> None:
    reads = re.compile(r"\w+:(Get|GET$|List|Describe|Simulate)")
    assert [action for action in ACTIONS if not reads.match(action)] == []
    assert not {"dynamodb:GetItem", "s3:GetObject", "lambda:GetFunction"} & set(ACTIONS)
    for statement in POLICY["Statement"]:
        if "apigateway:GET" in statement["Action"]:
            assert not any(
                resource.endswith(("::/*", "keys")) for resource in statement["Resource"]
            )
