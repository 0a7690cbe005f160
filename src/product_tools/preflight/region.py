"""What the account must be able to do in the region: use it, and Lambda SnapStart."""

from collections.abc import Iterator
from functools import partial

from product_tools.preflight.checks import Check, Finding, found_if
from product_tools.preflight.target import Target

_ENABLED = frozenset({"ENABLED", "ENABLED_BY_DEFAULT"})
# Lambda Developer Guide, "Improving startup performance with Lambda SnapStart": all commercial
# regions but these. No call to AWS tells it.
_WITHOUT_SNAPSTART = frozenset({"ap-east-2", "ap-southeast-6"})


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the region."""
    yield Check(
        "Region",
        f"{target.region} enabled in the account",
        f"let an administrator enable {target.region} under Account, AWS Regions",
        partial(_region, target),
    )
    if target.values["snapstart"]:
        yield Check(
            "SnapStart",
            "Lambda SnapStart for Python in the region",
            "set snapstart to false, or choose another region",
            partial(_snapstart, target.region),
        )


def _region(target: Target) -> Finding:
    client = target.client("account", "us-east-1")  # the only region of this service
    status = client.get_region_opt_status(RegionName=target.region)["RegionOptStatus"]
    return found_if(status in _ENABLED, status.lower().replace("_", " "))


def _snapstart(region: str) -> Finding:
    return found_if(
        region not in _WITHOUT_SNAPSTART,
        f"AWS lists {region}",
        f"AWS lists {region} as one without it",
    )
