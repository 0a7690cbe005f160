"""The bucket of Terraform's state: without it, nothing can be planned."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from product_tools.preflight.checks import Check, Finding, error_code, found, found_if, missing
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PRIVATE = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the bucket."""
    bucket, owner = target.state.bucket, target.state.account
    client: S3Client = target.client("s3", target.state.region)
    ask = f"ask its owners, or use aws s3api (bucket {bucket}): "
    yield Check(
        "State bucket",
        f"{bucket} in {target.state.region}, of the account {owner}",
        "let the owners of the account create it; CI/CD guide: The bucket of the state",
        partial(_existence, client, bucket, owner),
    )
    yield Check(
        "State bucket: versions",
        "versioning enabled, so that a damaged state can be restored",
        f"{ask}put-bucket-versioning",
        partial(_versioning, client, bucket, owner),
    )
    yield Check(
        "State bucket: private",
        "all public access blocked: the state contains the API keys",
        f"{ask}put-public-access-block",
        partial(_privacy, client, bucket, owner),
    )
    yield Check(
        "State bucket: encrypted",
        "default encryption",
        f"{ask}put-bucket-encryption",
        partial(_encryption, client, bucket, owner),
    )
    yield Check(
        "State: lock",
        "no lock, so that an apply can take it",
        "if no apply runs, remove the lock; CI/CD guide: State",
        partial(_lock, client, target),
    )


def _existence(client: "S3Client", bucket: str, owner: str) -> Finding:
    try:
        response = client.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error_code(error) == "404":  # a response to HEAD has no body with a code
            return missing("no such bucket")
        raise
    region = response.get("BucketRegion", client.meta.region_name)
    return found_if(region == client.meta.region_name, f"it is there, in {region}")


def _versioning(client: "S3Client", bucket: str, owner: str) -> Finding:
    response = client.get_bucket_versioning(Bucket=bucket, ExpectedBucketOwner=owner)
    status = response.get("Status", "Off")  # S3 omits it until someone sets it
    return found_if(status == "Enabled", f"versioning {status.lower()}")


def _privacy(client: "S3Client", bucket: str, owner: str) -> Finding:
    try:
        response = client.get_public_access_block(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error_code(error) == "NoSuchPublicAccessBlockConfiguration":
            return missing("public access is not blocked")
        raise
    blocked = response["PublicAccessBlockConfiguration"]
    gaps = [name for name in _PRIVATE if not blocked.get(name)]
    return found_if(not gaps, "public access blocked", f"not set: {', '.join(gaps)}")


def _encryption(client: "S3Client", bucket: str, owner: str) -> Finding:
    try:
        response = client.get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error_code(error) == "ServerSideEncryptionConfigurationNotFoundError":
            return missing("no default encryption")
        raise
    rule = response["ServerSideEncryptionConfiguration"]["Rules"][0]
    return found(f"encrypted by {rule['ApplyServerSideEncryptionByDefault']['SSEAlgorithm']}")


def _lock(client: "S3Client", target: Target) -> Finding:
    """Look for Terraform's lock, which is an object beside the state (backend s3, use_lockfile)."""
    lock = f"{target.state.key}.tflock"
    response = client.list_objects_v2(
        Bucket=target.state.bucket, Prefix=lock, ExpectedBucketOwner=target.state.account
    )
    for entry in response.get("Contents", []):
        return missing(f"locked since {entry['LastModified']:%Y-%m-%d %H:%M} UTC")
    return found("not locked")
