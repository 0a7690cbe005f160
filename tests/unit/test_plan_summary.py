"""The summary of a plan, for the pull request and the approver."""

from typing import Any

from product_tools.plan_summary import summary


def change(address: str, actions: list[str], **states: Any) -> dict[str, Any]:
    return {"address": address, "mode": "managed", "change": {"actions": actions, **states}}


def test_summary_of_plan_without_changes() -> None:
    plan = {"resource_changes": [change("aws_sns_topic.alerts", ["no-op"])]}

    assert summary("dev", plan) == "## Plan for DEV\n\nNothing to change.\n"


def test_deletions_come_first_and_changes_are_counted() -> None:
    markdown = summary(
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

    assert "**1 to delete, 1 to replace, 1 to change, 1 to create**" in markdown
    assert markdown.index("c.deleted") < markdown.index("d.replaced") < markdown.index("b.changed")
    assert "data.read" not in markdown


def test_summary_names_attributes_without_values() -> None:
    markdown = summary(
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

    assert "| change | `aws_api_gateway_api_key.writer` | last_updated, value |" in markdown
    assert "secret" not in markdown
