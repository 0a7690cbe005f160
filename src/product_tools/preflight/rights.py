"""The rights of the workflows' roles, by IAM's policy simulator.

What a role needs is what terraform/pipelines gives it. The simulator reads policies only: it calls
nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from product_tools.pipeline_roles import ROLES, rights, role_name
from product_tools.preflight.checks import Check, Finding, found_if
from product_tools.preflight.sign_in import APPLY
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

_SHOWN = 5  # denied rights in one row


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of each role, and of the lock of the state."""
    for role in ROLES:
        statements = rights(
            role,
            target.environment,
            account_id=target.account,
            region=target.region,
            state_bucket=target.state.bucket,
        )
        yield Check(
            f"Rights of {role_name(role, target.environment)}",
            f"the rights in terraform/pipelines/policies/{role}*.json.tftpl",
            APPLY,
            partial(_rights, target, role, statements),
        )
    lock = f"arn:aws:s3:::{target.state.bucket}/{target.state.key}.tflock"
    yield Check(
        "State: rights to lock",
        "the role that deploys may write, read and delete the lock",
        APPLY,
        partial(
            _rights,
            target,
            "deploy",
            [{"Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": [lock]}],
        ),
    )


def _rights(target: Target, role: str, statements: Iterable[Mapping[str, Any]]) -> Finding:
    client: IAMClient = target.client("iam")
    name = role_name(role, target.environment)
    arn = client.get_role(RoleName=name)["Role"]["Arn"]
    needed, denied = 0, []
    for statement in statements:
        for resource in statement["Resource"]:
            actions = _actions_on(resource, statement)
            needed += len(actions)
            denied += [
                f"{action} on {resource}"
                for action in _denied(client, arn, actions, resource, statement)
            ]
    shown = "; ".join(denied[:_SHOWN])
    more = f"; and {len(denied) - _SHOWN} more" if len(denied) > _SHOWN else ""
    return found_if(not denied, f"{needed} rights", f"{len(denied)} denied: {shown}{more}")


def _actions_on(resource: str, statement: Mapping[str, Any]) -> list[str]:
    """Return the actions of a statement that a resource is for.

    A statement may list resources of several services. Then an action needs those of its own
    service, or all if there are none.
    """
    services = {_service(each) for each in statement["Resource"]}
    return [
        action
        for action in statement["Action"]
        if (service := action.partition(":")[0]) == _service(resource) or service not in services
    ]


def _service(arn: str) -> str:
    """Return the service of an ARN; nothing for `*`."""
    return "" if arn == "*" else arn.split(":")[2]


def _denied(
    client: "IAMClient",
    role: str,
    actions: list[str],
    resource: str,
    statement: Mapping[str, Any],
) -> list[str]:
    """Return the actions on a resource that the role may not do."""
    if not actions:
        return []
    pages = client.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=role,
        ActionNames=actions,
        ResourceArns=[_example(resource)],
        ContextEntries=[
            {
                "ContextKeyName": key,
                "ContextKeyValues": [_example(value if isinstance(value, str) else value[0])],
                "ContextKeyType": "string",
            }
            for condition in statement.get("Condition", {}).values()
            for key, value in condition.items()
        ],
    )
    return [
        result["EvalActionName"]
        for page in pages
        for result in page["EvaluationResults"]
        if result["EvalDecision"] != "allowed"
    ]


def _example(pattern: str) -> str:
    """Return a name that a pattern matches."""
    return pattern if pattern == "*" else pattern.replace("*", "x")
