"""The repository's environments on GitHub: approvals, branches and tags, secrets."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from product_tools.pipeline_roles import ROLES, github_environment, role_name
from product_tools.preflight.checks import Check, Finding, NotCheckedError, found, found_if, missing
from product_tools.preflight.target import Target

SECRET = "AWS_ROLE_ARN"  # noqa: S105 (the name of a secret)
_SETTINGS = "Settings, Environments; CI/CD guide: Environments and secrets of the repository"

# GitHub Docs, "Deployments and environments": for public repositories in all plans.
_APPROVALS = "Settings, Environments; in private repositories this needs GitHub Enterprise"


class Protection(NamedTuple):
    """What a GitHub environment asks for before a job may use its role.

    Attributes:
        refs: the allowed branches and tags, each with its type; empty allows all.
        approval: whether a listed person must approve.
        own_approval: whether this may be the person who started the run; None for either.
    """

    refs: frozenset[str]
    approval: bool = False
    own_approval: bool | None = None


_MAIN = frozenset({"branch main"})
_TAGS = frozenset({"tag v*"})
_PROTECTED = frozenset({"branch main", "branch release/*", "tag v*"})
PROTECTIONS: Final[Mapping[str, Protection]] = {
    "dev-plan": Protection(frozenset()),
    "dev": Protection(_MAIN),
    "dev-rollback": Protection(_MAIN),
    "sit-plan": Protection(_PROTECTED),
    "sit-approval": Protection(_PROTECTED, approval=True),
    "sit-rollback": Protection(_MAIN),
    "prod-plan": Protection(_TAGS),
    "prod-approval": Protection(_TAGS, approval=True, own_approval=False),
    "prod-rollback": Protection(_MAIN, approval=True, own_approval=True),
}
"""The protection of each GitHub environment, as in the table of the CI/CD guide."""


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the GitHub environments of each role."""
    for role in ROLES:
        name = github_environment(role, target.environment)
        protection = PROTECTIONS[name]
        yield Check(
            f"GitHub environment {name}", "it exists", _SETTINGS, partial(_existence, target, name)
        )
        yield Check(
            f"{name}: approval",
            _approval_text(protection),
            _APPROVALS if protection.approval else _SETTINGS,
            partial(_approval, target, name, protection),
        )
        yield Check(
            f"{name}: branches and tags",
            ", ".join(sorted(protection.refs)) or "any",
            _SETTINGS,
            partial(_refs, target, name, protection),
        )
        yield Check(
            f"{name}: secret {SECRET}",
            f"the ARN of {role_name(role, target.environment)}",
            f"gh secret set {SECRET} --env {name}",
            partial(_secret, target, name),
        )


def _environment(target: Target, name: str) -> Any:  # noqa: ANN401 (JSON has no static shape)
    environment = target.github.get(f"/environments/{name}")
    if environment is None:
        raise NotCheckedError("nothing to look at", "mend the rows above first")
    return environment


def _existence(target: Target, name: str) -> Finding:
    exists = target.github.get(f"/environments/{name}") is not None
    return found_if(exists, f"it exists in {target.github.repository}", "no such environment")


def _approval_text(protection: Protection) -> str:
    if not protection.approval:
        return "none"
    own = {None: "", True: ", also the one who started the run", False: ", not the one who started"}
    return f"by one of the listed people{own[protection.own_approval]}"


def _approval(target: Target, name: str, protection: Protection) -> Finding:
    rules = [
        rule
        for rule in _environment(target, name).get("protection_rules", [])
        if rule["type"] == "required_reviewers"
    ]
    people = sum(len(rule["reviewers"]) for rule in rules)
    own_approval = not any(rule.get("prevent_self_review") for rule in rules)
    if not people:
        return found_if(not protection.approval, "none")
    text = f"{people} people or teams, self-review {'allowed' if own_approval else 'prevented'}"
    is_as_needed = protection.own_approval in {None, own_approval}
    return found_if(protection.approval and is_as_needed, text)


def _refs(target: Target, name: str, protection: Protection) -> Finding:
    policy = _environment(target, name).get("deployment_branch_policy")
    if policy is None:
        return found_if(not protection.refs, "any")
    if policy["protected_branches"]:
        return missing("all protected branches")
    response = target.github.get(f"/environments/{name}/deployment-branch-policies?per_page=100")
    refs = {f"{each.get('type', 'branch')} {each['name']}" for each in response["branch_policies"]}
    return found_if(refs == protection.refs, ", ".join(sorted(refs)) or "none")


def _secret(target: Target, name: str) -> Finding:
    _environment(target, name)
    response = target.github.get(f"/environments/{name}/secrets?per_page=100")
    if response is None:  # GitHub hides what the token may not list
        raise NotCheckedError("not allowed to look: secrets", "use a token of an administrator")
    names = [secret["name"] for secret in response["secrets"]]
    return found("it exists") if SECRET in names else missing("no such secret")
