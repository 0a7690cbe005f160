"""Summarises a Terraform plan in Markdown, with addresses and attribute names but no values."""

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
}
_ORDER = ("delete", "replace", "change", "create")


def summary(environment: str, plan: Mapping[str, Any]) -> str:
    """Return the summary of a plan.

    Args:
        environment: the name of the environment, for the heading.
        plan: the plan as `terraform show -json` prints it.

    Returns:
        A heading, the number of changes of each kind, and a table of the changes. Deletions and
        replacements come first.
    """
    rows = [
        (_KINDS[tuple(change["change"]["actions"])], change["address"], _changed(change["change"]))
        for change in plan.get("resource_changes", [])
        if change["mode"] == "managed" and tuple(change["change"]["actions"]) in _KINDS
    ]
    rows.sort(key=lambda row: (_ORDER.index(row[0]), row[1]))
    lines = [f"## Plan for {environment.upper()}", ""]
    if not rows:
        return "\n".join([*lines, "Nothing to change.", ""])
    kinds = [kind for kind, _, _ in rows]
    counts = ", ".join(f"{kinds.count(kind)} to {kind}" for kind in _ORDER if kind in kinds)
    lines += [f"**{counts}**", "", "| | resource | attributes |", "|---|---|---|"]
    lines += [f"| {kind} | `{address}` | {', '.join(names)} |" for kind, address, names in rows]
    return "\n".join([*lines, ""])


def _changed(change: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the attributes that change on an existing resource."""
    before, after = change.get("before"), change.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    unknown = change.get("after_unknown", {})
    return sorted(
        name
        for name in {*before, *after, *unknown}
        if unknown.get(name) is True or before.get(name) != after.get(name)
    )
