"""Says in Markdown what a Terraform plan would do; it tells no value, only addresses and names."""

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
}
_ORDER = ("delete", "replace", "change", "create")


def summary(environment: str, plan: Mapping[str, Any]) -> str:
    """Summarise a plan.

    Args:
        environment: its name, for the heading.
        plan: what `terraform show -json` says of the plan.

    Returns:
        A heading, the number of changes of each kind, and a table of them, what destroys first.
    """
    rows = [
        (_WORDS[tuple(change["change"]["actions"])], change["address"], _changed(change["change"]))
        for change in plan.get("resource_changes", [])
        if change["mode"] == "managed" and tuple(change["change"]["actions"]) in _WORDS
    ]
    rows.sort(key=lambda row: (_ORDER.index(row[0]), row[1]))
    lines = [f"## Plan for {environment.upper()}", ""]
    if not rows:
        return "\n".join([*lines, "Nothing to change.", ""])
    deeds = [deed for deed, _, _ in rows]
    counts = ", ".join(f"{deeds.count(deed)} to {deed}" for deed in _ORDER if deed in deeds)
    lines += [f"**{counts}**", "", "| | resource | attributes |", "|---|---|---|"]
    lines += [f"| {deed} | `{address}` | {', '.join(names)} |" for deed, address, names in rows]
    return "\n".join([*lines, ""])


def _changed(change: Mapping[str, Any]) -> Sequence[str]:
    """The names of the attributes that an existing resource would change."""
    before, after = change.get("before"), change.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    unknown = change.get("after_unknown", {})
    return sorted(
        name
        for name in {*before, *after, *unknown}
        if unknown.get(name) is True or before.get(name) != after.get(name)
    )
