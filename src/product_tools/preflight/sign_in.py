"""How GitHub's jobs sign in to AWS: the OIDC provider, and whom each role trusts."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from product_tools.pipeline_roles import ROLES, github_environment, role_name
from product_tools.preflight.checks import (
    Check,
    Finding,
    NotCheckedError,
    error_code,
    found,
    found_if,
    missing,
)
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

_ISSUER = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"
_ASSUME = "sts:AssumeRoleWithWebIdentity"
APPLY = "apply terraform/pipelines; CI/CD guide: The roles of the workflows"
"""How to mend the roles of the workflows."""


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the provider and of each role."""
    yield Check(
        "GitHub's OIDC provider", f"{_ISSUER} for {_AUDIENCE}", APPLY, partial(_provider, target)
    )
    for role in ROLES:
        name = role_name(role, target.environment)
        environment = github_environment(role, target.environment)
        yield Check(
            f"Trust of {name}",
            f"jobs of the GitHub environment {environment} alone, in the form that GitHub sends",
            APPLY,
            partial(_trust, target, name, environment),
        )


def _provider_arn(target: Target) -> str:
    return f"arn:aws:iam::{target.account}:oidc-provider/{_ISSUER}"


def _provider(target: Target) -> Finding:
    client: IAMClient = target.client("iam")
    try:
        provider = client.get_open_id_connect_provider(
            OpenIDConnectProviderArn=_provider_arn(target)
        )
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return missing("no such provider")
        raise
    audiences = provider["ClientIDList"]
    return found_if(_AUDIENCE in audiences, f"for {', '.join(audiences) or 'nobody'}")


def _trust(target: Target, name: str, environment: str) -> Finding:
    client: IAMClient = target.client("iam")
    try:
        document: Any = client.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return missing("no such role")
        raise
    statements = [each for each in document["Statement"] if each["Effect"] == "Allow"]
    wrong = [each for each in statements if not _is_for_jobs(each, _provider_arn(target))]
    subjects = [subject for each in statements for subject in _subjects(each)]
    text = f"trusts {', '.join(subjects) or 'no subject'}"
    if wrong or not all(subject.endswith(f":environment:{environment}") for subject in subjects):
        return missing(f"{text}, and not only this environment" if wrong else text)
    if not subjects or any("*" in subject for subject in subjects):
        return missing(text)
    try:
        prefix = target.github.subject_prefix
    except NotCheckedError as error:
        raise NotCheckedError(
            f"{text}; the form that GitHub sends is not known ({error})", error.mend
        ) from error
    expected = f"{prefix}:environment:{environment}"
    if subjects != [expected]:
        return missing(f"{text}, but GitHub sends {expected}")
    return found(text)


def _is_for_jobs(statement: Any, provider: str) -> bool:  # noqa: ANN401 (a part of a policy)
    """Return whether a statement lets only tokens of GitHub in, for AWS and with a subject."""
    audience = statement.get("Condition", {}).get("StringEquals", {}).get(f"{_ISSUER}:aud")
    return (
        statement["Action"] in (_ASSUME, [_ASSUME])
        and statement["Principal"] == {"Federated": provider}
        and audience in (_AUDIENCE, [_AUDIENCE])
        and bool(_subjects(statement))
    )


def _subjects(statement: Any) -> list[str]:  # noqa: ANN401 (a part of a policy)
    """Return the subjects that a statement compares with, exactly or with wildcards."""
    subjects: list[str] = []
    for operator in ("StringEquals", "StringLike"):
        values = statement.get("Condition", {}).get(operator, {}).get(f"{_ISSUER}:sub", [])
        subjects += [values] if isinstance(values, str) else values
    return subjects
