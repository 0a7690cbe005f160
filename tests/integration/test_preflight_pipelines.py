"""The preflight of the workflows: GitHub's environments, sign-in, rights and the alarms' address.

GitHub is a stub. The local AWS has a policy simulator of its own, without conditions.
"""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

import preflight
from product_tools.preflight import alarms, github, github_api, rights, sign_in
from product_tools.preflight.checks import Outcome, Row
from tests.support.github_settings import PREFIX, GitHubSettings
from tests.support.prepared_account import (
    ISSUER,
    PreparedAccount,
    is_complete,
    rows,
    trust_in_jobs,
)
from tests.support.stub_server import StubServer

FOUND, MISSING, UNCHECKED = Outcome
DEPLOY_TRUST = "Trust of bbws-product-deploy-dev"
DEPLOY_RIGHTS = "Rights of bbws-product-deploy-dev"


# --- GitHub's environments ---


@pytest.mark.usefixtures("account")
def test_environments_of_dev_are_found(repository: GitHubSettings) -> None:
    repository.add_environments_of_dev()

    assert is_complete(github)


@pytest.mark.usefixtures("account")
def test_environments_of_prod_are_found(repository: GitHubSettings) -> None:
    repository.add_environment("prod-plan", ["tag v*"])
    repository.add_environment("prod-approval", ["tag v*"], reviewers=2, prevents_self_review=True)
    repository.add_environment("prod-rollback", ["branch main"], reviewers=1)

    assert {row.outcome for row in rows(github, "prod").values()} == {FOUND}


@pytest.mark.usefixtures("account")
def test_missing_environment_leaves_rest_unchecked(repository: GitHubSettings) -> None:
    repository.add_environment("dev-plan")
    repository.add_environment("dev-rollback", ["branch main"])

    found_rows = rows(github)

    assert found_rows["GitHub environment dev"].found == "no such environment"
    assert found_rows["GitHub environment dev"].outcome is MISSING
    assert found_rows["dev: approval"].outcome is UNCHECKED
    assert found_rows["dev-rollback: approval"].outcome is FOUND


@pytest.mark.parametrize(
    ("name", "settings", "seen"),
    [
        ("prod-approval", {}, "none"),
        ("prod-approval", {"reviewers": 2}, "2 people or teams, self-review allowed"),
        (
            "prod-rollback",
            {"reviewers": 1, "prevents_self_review": True},
            "1 people or teams, self-review prevented",
        ),
        ("prod-plan", {"reviewers": 1}, "1 people or teams, self-review allowed"),
    ],
)
@pytest.mark.usefixtures("account")
def test_other_approval_is_missing(
    repository: GitHubSettings, name: str, settings: dict[str, Any], seen: str
) -> None:
    repository.add_environment(name, **settings)

    row = rows(github, "prod")[f"{name}: approval"]

    assert (row.outcome, row.found) == (MISSING, seen)


@pytest.mark.parametrize("prevents_self_review", [True, False])
@pytest.mark.usefixtures("account")
def test_self_review_in_sit_is_free(
    repository: GitHubSettings, *, prevents_self_review: bool
) -> None:
    repository.add_environment(
        "sit-approval", reviewers=1, prevents_self_review=prevents_self_review
    )

    assert rows(github, "sit")["sit-approval: approval"].outcome is FOUND


@pytest.mark.parametrize(
    ("refs", "seen"),
    [
        ([], "any"),
        (["branch *"], "branch *"),
        (["branch main", "branch v*"], "branch main, branch v*"),
    ],
)
@pytest.mark.usefixtures("account")
def test_other_branches_are_missing(repository: GitHubSettings, refs: list[str], seen: str) -> None:
    repository.add_environment("dev", refs)

    row = rows(github)["dev: branches and tags"]

    assert (row.outcome, row.found, row.needed) == (MISSING, seen, "branch main")


@pytest.mark.usefixtures("account")
def test_all_protected_branches_are_missing(repository: GitHubSettings) -> None:
    policy = {"protected_branches": True, "custom_branch_policies": False}
    repository.respond("/environments/dev", {"deployment_branch_policy": policy})

    assert rows(github)["dev: branches and tags"].found == "all protected branches"


@pytest.mark.usefixtures("account")
def test_environment_without_secret_is_missing(repository: GitHubSettings) -> None:
    repository.add_environment("dev", secrets=["ANOTHER"])

    row = rows(github)["dev: secret AWS_ROLE_ARN"]

    assert (row.outcome, row.found) == (MISSING, "no such secret")
    assert row.mend == "gh secret set AWS_ROLE_ARN --env dev"


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.usefixtures("account")
def test_hidden_secrets_are_unchecked(repository: GitHubSettings, status: int) -> None:
    repository.add_environment("dev")
    repository.respond("/environments/dev/secrets?per_page=100", {}, status)

    row = rows(github)["dev: secret AWS_ROLE_ARN"]

    assert row.outcome is UNCHECKED
    assert row.found.startswith("not allowed to look: ")


# --- GitHub cannot be asked ---


def github_row() -> Row:
    """Return the only different row of GitHub's environments, which are all unchecked."""
    [different] = {row._replace(what="", needed="") for row in rows(github).values()}
    assert different.outcome is UNCHECKED
    return different


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (401, "GitHub rejects the token"),
        (403, "not allowed to look: /"),
        (404, "the token does not see owner/catalogue"),
        (502, "GitHub returned 502"),
    ],
)
@pytest.mark.usefixtures("account")
def test_rejected_token_leaves_github_unchecked(
    repository: GitHubSettings, status: int, seen: str
) -> None:
    repository.respond("", {}, status)

    assert github_row().found == seen


@pytest.mark.usefixtures("account")
def test_token_goes_to_github(repository: GitHubSettings) -> None:
    rows(github)

    assert {request.headers["Authorization"] for request in repository.stub.requests} == {
        "Bearer a-token"
    }


@pytest.mark.usefixtures("account")
def test_unreachable_github_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")

    assert github_row().found.startswith("GitHub cannot be reached: ")


@pytest.mark.usefixtures("account")
def test_other_server_than_github_is_unchecked(repository: GitHubSettings) -> None:
    repository.respond("", "<html>")

    assert github_row().found.startswith("GitHub cannot be reached: ")


@pytest.mark.parametrize("response", [[], {"protection_rules": [{}]}], ids=["list", "rule"])
@pytest.mark.usefixtures("account")
def test_response_of_other_form_is_unchecked(repository: GitHubSettings, response: object) -> None:
    repository.respond("/environments/dev", response)

    row = rows(github)["dev: approval"]

    assert row.outcome is UNCHECKED
    assert row.found.startswith("the response is not understood: ")


def stand_in_for_gh(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program in the place of gh, and remove the token from the environment."""
    program = folder / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("GH_TOKEN")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)


@pytest.mark.usefixtures("account")
def test_token_of_gh_is_used(
    repository: GitHubSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.add_environments_of_dev()
    stand_in_for_gh(tmp_path, monkeypatch, 'echo "token of $*"')

    assert is_complete(github)
    assert repository.stub.requests[0].headers["Authorization"] == "Bearer token of auth token"


@pytest.mark.usefixtures("account")
def test_no_token_leaves_github_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_gh(tmp_path, monkeypatch, "exit 1")

    row = github_row()

    assert row.found == "no token for GitHub"
    assert "gh auth login" in row.mend


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@github.com:owner/catalogue.git", "owner/catalogue"),
        ("https://github.com/owner/catalogue", "owner/catalogue"),
        ("https://example.com/owner/catalogue", None),
    ],
)
@pytest.mark.usefixtures("account")
def test_repository_is_that_of_clone(
    repository: GitHubSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    name: str | None,
) -> None:
    repository.add_environments_of_dev()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "remote", "add", "origin", url], cwd=tmp_path, check=True)
    monkeypatch.setattr(github_api, "REPOSITORY", tmp_path)
    monkeypatch.delenv("GITHUB_REPOSITORY")

    if name:
        assert is_complete(github)
    else:
        assert github_row().found == "the repository is not known: origin is not on GitHub"


# --- Sign-in to AWS ---


def test_provider_and_exact_trusts_are_found(account: PreparedAccount) -> None:
    account.make_oidc_provider()
    account.make_workflow_roles()

    assert is_complete(sign_in)


@pytest.mark.usefixtures("account")
def test_missing_provider_and_roles_are_missing() -> None:
    found_rows = rows(sign_in).values()

    assert [row.found for row in found_rows] == ["no such provider", *["no such role"] * 3]
    assert {row.outcome for row in found_rows} == {MISSING}
    assert all("terraform/pipelines" in row.mend for row in found_rows)


def test_provider_for_others_is_missing(account: PreparedAccount) -> None:
    account.make_oidc_provider(audience="another")

    row = rows(sign_in)["GitHub's OIDC provider"]

    assert (row.outcome, row.found) == (MISSING, "for another")


def test_older_form_of_subject_is_missing(account: PreparedAccount) -> None:
    account.make_workflow_roles(prefix="repo:owner/catalogue", role="deploy")

    row = rows(sign_in)[DEPLOY_TRUST]

    assert (row.outcome, row.found) == (
        MISSING,
        f"trusts repo:owner/catalogue:environment:dev, but GitHub sends {PREFIX}:environment:dev",
    )


def test_older_form_is_found_where_github_sends_it(
    account: PreparedAccount, repository: GitHubSettings
) -> None:
    repository.respond("/actions/oidc/customization/sub", {"use_default": True})
    account.make_workflow_roles(prefix="repo:owner/catalogue", role="deploy")

    assert rows(sign_in)[DEPLOY_TRUST].outcome is FOUND


def test_subject_without_github_is_unchecked(
    account: PreparedAccount, repository: GitHubSettings
) -> None:
    repository.respond("", {}, 401)
    account.make_workflow_roles(role="deploy")

    row = rows(sign_in)[DEPLOY_TRUST]

    assert row.outcome is UNCHECKED
    assert row.found == (
        f"trusts {PREFIX}:environment:dev; the form that GitHub sends is not known (GitHub rejects"
        " the token)"
    )


def test_own_template_of_subject_is_unchecked(
    account: PreparedAccount, repository: GitHubSettings
) -> None:
    template = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    repository.respond("/actions/oidc/customization/sub", template)
    account.make_workflow_roles(role="deploy")

    row = rows(sign_in)[DEPLOY_TRUST]

    assert row.outcome is UNCHECKED
    assert "its own template: ['repo', 'context']" in row.found


@pytest.mark.parametrize("role", ["plan", "rollback"])
def test_trust_in_other_environment_is_missing(account: PreparedAccount, role: str) -> None:
    account.make_role("bbws-product-deploy-dev", trust_in_jobs(account.files.account, PREFIX, role))

    row = rows(sign_in)[DEPLOY_TRUST]

    assert (row.outcome, row.found) == (MISSING, f"trusts {PREFIX}:environment:dev-{role}")


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}},
        {"StringEquals": {f"{ISSUER}:sub": f"{PREFIX}:environment:dev"}},
        {
            "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
            "StringLike": {f"{ISSUER}:sub": "repo:owner*:environment:dev"},
        },
    ],
    ids=["none", "no subject", "no audience", "wildcard"],
)
def test_trust_in_more_than_environment_is_missing(
    account: PreparedAccount, condition: dict[str, Any]
) -> None:
    trust = trust_in_jobs(account.files.account, PREFIX, "deploy")
    account.make_role("bbws-product-deploy-dev", {**trust, "Condition": condition})

    assert rows(sign_in)[DEPLOY_TRUST].outcome is MISSING


def test_trust_in_people_of_account_is_missing(account: PreparedAccount) -> None:
    trust = trust_in_jobs(account.files.account, PREFIX, "deploy")
    people = {"Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    account.make_role("bbws-product-deploy-dev", trust, people)

    row = rows(sign_in)[DEPLOY_TRUST]

    assert row.outcome is MISSING
    assert row.found.endswith("and not only this environment")


# --- Rights of the roles ---


def test_rights_of_templates_are_found(account: PreparedAccount) -> None:
    account.make_workflow_roles()

    assert is_complete(rights)
    assert rows(rights)[DEPLOY_RIGHTS].found.endswith(" rights")


def test_rights_of_missing_role_are_unchecked(account: PreparedAccount) -> None:
    account.make_workflow_roles(role="plan")

    found_rows = rows(rights)

    assert found_rows["Rights of bbws-product-plan-dev"].outcome is FOUND
    assert found_rows[DEPLOY_RIGHTS].found == "nothing to look at"


def test_missing_right_is_named(account: PreparedAccount) -> None:
    account.make_workflow_roles(role="rollback")
    [statement] = account.set_rights("rollback", lambda statements: statements[:1])
    action, *others = statement["Action"]
    account.set_rights("rollback", lambda _: [{**statement, "Action": others}])

    row = rows(rights)["Rights of bbws-product-rollback-dev"]

    assert row.outcome is MISSING
    denied = [f"{action} on {resource}" for resource in statement["Resource"]]
    assert row.found == f"{len(denied)} denied: {'; '.join(denied)}"


def test_many_missing_rights_are_counted(account: PreparedAccount) -> None:
    account.make_workflow_roles(role="deploy")
    account.set_rights("deploy", lambda statements: statements[:2])

    found_rows = rows(rights)

    assert found_rows["State: rights to lock"].outcome is FOUND
    assert found_rows[DEPLOY_RIGHTS].outcome is MISSING
    assert re.search(r"^\d{3} denied: .* more$", found_rows[DEPLOY_RIGHTS].found)


def test_role_without_rights_to_lock_is_missing(account: PreparedAccount) -> None:
    account.make_workflow_roles(role="deploy")
    account.set_rights(
        "deploy",
        lambda statements: [each for each in statements if each["Sid"] != "StateAndPlans"],
    )

    row = rows(rights)["State: rights to lock"]

    assert row.outcome is MISSING
    assert row.found.startswith("3 denied: s3:GetObject on arn:aws:s3:::state-dev-")


def test_simulator_gets_values_of_conditions(account: PreparedAccount, stub: StubServer) -> None:
    account.make_workflow_roles(role="deploy")

    rows(rights)

    simulated = [
        parse_qs(request.body.decode())
        for request in stub.requests
        if request.operation == "SimulatePrincipalPolicy"
    ]
    [passed, *_] = [call for call in simulated if "iam:PassRole" in call["ActionNames.member.1"]]
    assert passed["ContextEntries.member.1.ContextKeyName"] == ["iam:PassedToService"]
    assert passed["ContextEntries.member.1.ContextKeyValues.member.1"] == ["lambda.amazonaws.com"]
    assert not any("*" in call["ResourceArns.member.1"][0][1:] for call in simulated)


# --- Alarms ---


@pytest.mark.usefixtures("account")
def test_dev_needs_no_address() -> None:
    assert rows(alarms) == {}


def address_row() -> Row:
    """Return the row of the address in SIT."""
    return rows(alarms, "sit")["Address for alarms"]


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("alert_email", "team@example.com", "team@example.com"),
        ("waive_alert_email", True, "waived: alarms reach no person by mail"),
    ],
)
def test_address_or_waiver_in_files_is_found(
    account: PreparedAccount, name: str, value: object, seen: str
) -> None:
    account.files.set(name, value, "sit")

    assert (address_row().outcome, address_row().found) == (FOUND, seen)


@pytest.mark.usefixtures("account")
def test_address_of_apply_by_hand_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_VAR_alert_email", "team@example.com")

    assert address_row().found == "team@example.com"


@pytest.mark.usefixtures("account")
def test_address_in_github_is_found(repository: GitHubSettings) -> None:
    variable = {"name": "ALERT_EMAIL", "value": "team@example.com"}
    repository.respond("/environments/sit-plan/variables/ALERT_EMAIL", variable)

    row = address_row()

    assert (row.outcome, row.found) == (FOUND, "team@example.com, by ALERT_EMAIL of sit-plan")


@pytest.mark.usefixtures("account")
def test_no_address_is_missing() -> None:
    row = address_row()

    assert (row.outcome, row.found) == (MISSING, "no address")
    assert "ALERT_EMAIL of the GitHub environment sit-plan" in row.mend


@pytest.mark.usefixtures("account")
def test_address_without_github_is_unchecked(repository: GitHubSettings) -> None:
    repository.respond("", {}, 401)

    assert address_row().outcome is UNCHECKED


def subscription(account: PreparedAccount, stub: StubServer, *states: str) -> Row:
    """Return the row of SIT's subscriptions, which are in these states."""
    topic = account.client("sns").create_topic(Name="bbws-product-alerts-sit")["TopicArn"]
    arns = {"pending": "PendingConfirmation", "confirmed": f"{topic}:1"}
    members = "".join(
        f"<member><SubscriptionArn>{arns[state]}</SubscriptionArn></member>" for state in states
    )
    result = f"<ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions>"
    stub.respond(
        "ListSubscriptionsByTopic",
        "<ListSubscriptionsByTopicResponse>"
        f"{result}</ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>",
    )
    return rows(alarms, "sit")["Subscription to alarms"]


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        (["confirmed"], FOUND),
        (["pending"], MISSING),
        (["confirmed", "pending"], MISSING),
        ([], MISSING),
    ],
)
def test_subscription_must_be_confirmed(
    account: PreparedAccount, stub: StubServer, states: list[str], outcome: Outcome
) -> None:
    assert subscription(account, stub, *states).outcome is outcome


@pytest.mark.usefixtures("account")
def test_subscription_before_deployment_is_unchecked() -> None:
    row = rows(alarms, "sit")["Subscription to alarms"]

    assert (row.outcome, row.found) == (UNCHECKED, "the first deployment makes the topic")


# --- All topics ---


def test_complete_account_lacks_nothing(
    account: PreparedAccount,
    stub: StubServer,
    repository: GitHubSettings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    account.prepare()
    stub.respond("GetServiceQuota", {"Quota": {"Value": 600.0}})
    stub.respond("GET */account-settings*", {"AccountLimit": {"ConcurrentExecutions": 1000}})
    repository.add_environments_of_dev()

    assert preflight.main(["--environment", "dev"]) == 0

    assert ", 0 missing, 0 unchecked." in capsys.readouterr().out
    for sent in (*stub.requests, *repository.stub.requests):
        assert re.match(r"GET |HEAD |POST /get|Get|List|Describe|Simulate", sent.operation)


def test_recovery_of_prod_has_its_region_and_bucket(
    account: PreparedAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    assert preflight.main(["--environment", "prod-recovery"]) == 1

    printed = capsys.readouterr().out
    assert f"state-prod-recovery-{account.files.account} in eu-west-1" in printed
    assert "products-prod, active" in printed
    assert f"prod-recovery, {account.files.account}, eu-west-1: " in printed
