"""The lifecycle rules of a state bucket that this service needs, beside the rules of others.

S3 can only replace all rules of a bucket ("PutBucketLifecycleConfiguration", Amazon S3 API
Reference). So the other rules are read and written back.
"""

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from product_tools.aws_calls import aws_errors_as
from product_tools.plan_store import PREFIX as PLANS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_FOLDER: Final = "2_bbws_product_lambda"
RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "ID": f"{_FOLDER}: plans without an approval",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{PLANS}/"},
        "Expiration": {"Days": 7},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    },
    {
        "ID": f"{_FOLDER}: old versions of states",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{_FOLDER}/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
    },
)
"""The rules of this service. The second one also reaches plans, where the shorter time wins."""


class LifecycleError(Exception):
    """The rules cannot be read or written; the text is a sentence with the next step."""


@aws_errors_as(LifecycleError)
def set_rules(client: "S3Client", bucket: str) -> list[str]:
    """Set the rules of this service in a bucket, and keep all others.

    Args:
        client: reads and writes the rules.
        bucket: the name of the bucket.

    Returns:
        The ids of the kept rules.

    Raises:
        LifecycleError: a call to the bucket fails.
    """
    rules, settings = _configuration(client, bucket)
    ids = {rule["ID"] for rule in RULES}
    kept = [_current_form(rule) for rule in rules if rule.get("ID") not in ids]
    wanted: Any = [*kept, *RULES]
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": wanted}, **settings
    )
    return [rule.get("ID", "a rule without an id") for rule in kept]


def _configuration(client: "S3Client", bucket: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rules of a bucket, and the setting that applies to all of them."""
    try:
        response: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return [], {}
    setting = "TransitionDefaultMinimumObjectSize"
    return response["Rules"], {setting: response[setting]} if setting in response else {}


def _current_form(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule with a filter; S3 rejects rules with the old `Prefix` beside the others."""
    if "Prefix" not in rule:
        return rule
    rest = {name: value for name, value in rule.items() if name != "Prefix"}
    return {**rest, "Filter": {"Prefix": rule["Prefix"]}}
