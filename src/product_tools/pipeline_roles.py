"""The AWS roles of the GitHub workflows: names, GitHub environments and rights.

terraform/pipelines creates the roles. Their rights are templates in terraform/pipelines/policies,
which this module fills in for one region, without Terraform. The role that deploys has several,
since IAM limits the length of each.
"""

import json
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any, Final

from product_tools.terraform import TERRAFORM_FOLDER

POLICY_FOLDER: Final = TERRAFORM_FOLDER / "pipelines" / "policies"
ROLES: Final = ("plan", "deploy", "rollback")
POLICIES: Final[Mapping[str, Sequence[str]]] = {
    "plan": ("plan",),
    "deploy": ("deploy", "deploy-events", "deploy-edge"),
    "rollback": ("rollback",),
}
"""The templates of each role's rights; those after the first become managed policies."""


def role_name(role: str, environment: str) -> str:
    """Return the name of a role in AWS, such as `bbws-product-deploy-dev`."""
    return f"bbws-product-{role}-{environment}"


def github_environment(role: str, environment: str) -> str:
    """Return the GitHub environment whose jobs may use a role, such as `sit-approval`."""
    if role == "deploy":
        return "dev" if environment == "dev" else f"{environment}-approval"
    return f"{environment}-{role}"


def rights(
    role: str, environment: str, *, account_id: str, region: str, state_bucket: str
) -> list[dict[str, Any]]:
    """Return the statements of a role's rights in one region.

    Args:
        role: one of `ROLES`.
        environment: dev, sit or prod.
        account_id: the 12 digits of the account.
        region: the region of the resources.
        state_bucket: the bucket of the region's state.

    Returns:
        Statements of an IAM policy; `Action` and `Resource` are lists.
    """
    statements: list[dict[str, Any]] = []
    for name in POLICIES[role]:
        template = Template((POLICY_FOLDER / f"{name}.json.tftpl").read_text())
        document = template.substitute(
            environment=environment, account_id=account_id, region=region, state_bucket=state_bucket
        )
        statements += json.loads(document)["Statement"]
    return statements
