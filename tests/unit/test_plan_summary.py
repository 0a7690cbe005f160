"""What the pull request and the approver read of a plan."""

from typing import Any

from product_tools.plan_summary import summary


def change(address: str, actions: list[str], **states: Any) -> dict[str, Any]:
    return {"address": address, "mode": "managed", "change": {"actions": actions, **states}}


def test_a_plan_without_changes_says_so() -> None:
    plan = {"resource_changes": [change("aws_sns_topic.alerts", ["no-op"])]}

    assert summary("dev", plan) == "## Plan for DEV\n\nNothing to change.\n"


def test_what_destroys_stands_first_and_changes_are_counted() -> None:
    said = summary(
        "prod",
        {
            "resource_changes": [
                change("a.created", ["create"]),
                change("b.changed", ["update"], before={"ttl": 1}, after={"ttl": 2}),
                change("c.deleted", ["delete"]),
                change("d.replaced", ["create", "delete"]),
                {**change("data.read", ["read"]), "mode": "data"},
            ]
        },
    )

    assert "**1 to delete, 1 to replace, 1 to change, 1 to create**" in said
    assert said.index("c.deleted") < said.index("d.replaced") < said.index("b.changed")
    assert "data.read" not in said


def test_changed_attributes_are_named_and_their_values_are_not_told() -> None:
    said = summary(
        "sit",
        {
            "resource_changes": [
                change(
                    "aws_api_gateway_api_key.writer",
                    ["update"],
                    before={"value": "old-secret", "name": "same", "arn": "x"},
                    after={"value": "new-secret", "name": "same", "arn": "x"},
                    after_unknown={"last_updated": True},
                )
            ]
        },
    )

    assert "| change | `aws_api_gateway_api_key.writer` | last_updated, value |" in said
    assert "secret" not in said
