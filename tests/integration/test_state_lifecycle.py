"""The command that sets the lifecycle rules of a state bucket, on a real engine."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

import set_state_lifecycle
from product_tools.state_lifecycle import RULES, set_rules

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

OTHERS: Final[list[dict[str, Any]]] = [
    {
        "ID": "everything of another team",
        "Status": "Enabled",
        "Filter": {"Prefix": "another_service/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    },
    {
        "ID": "uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
    },
]


@pytest.fixture
def client(engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    """A client of the engine, whose settings the command finds in the environment.

    The buckets of the test are deleted after it: other tests need buckets of the same names.
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL", engine)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    client: S3Client = boto3.client("s3", region_name="eu-west-1")
    before = names_of_buckets(client)
    yield client
    for name in names_of_buckets(client) - before:
        client.delete_bucket(Bucket=name)


def names_of_buckets(client: "S3Client") -> set[str]:
    return {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def make_bucket(client: "S3Client", name: str, rules: list[dict[str, Any]]) -> None:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if rules:
        put_rules(client, name, rules)


def put_rules(client: "S3Client", bucket: str, rules: list[Any]) -> None:
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": rules}
    )


def rules_of(client: "S3Client", bucket: str) -> list[Any]:
    response: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    return sorted(response["Rules"], key=lambda rule: str(rule["ID"]))


def test_rules_of_others_are_kept(client: "S3Client", capsys: pytest.CaptureFixture[str]) -> None:
    make_bucket(client, "bbws-terraform-state-dev", OTHERS)

    for _ in range(2):
        assert set_state_lifecycle.main(["--environment", "dev"]) == 0
        expected = sorted([*OTHERS, *RULES], key=lambda rule: str(rule["ID"]))
        assert rules_of(client, "bbws-terraform-state-dev") == expected
    assert "kept the rule 'uploads'" in capsys.readouterr().out


def test_bucket_without_rules_gets_rules(client: "S3Client") -> None:
    make_bucket(client, "bbws-terraform-state-prod-recovery", [])

    assert set_state_lifecycle.main(["--environment", "prod-recovery"]) == 0
    expected = sorted(RULES, key=lambda rule: str(rule["ID"]))
    assert rules_of(client, "bbws-terraform-state-prod-recovery") == expected


def test_changed_rule_of_this_service_is_corrected(client: "S3Client") -> None:
    make_bucket(client, "changed-rules", [{**RULES[0], "Status": "Disabled"}])

    assert set_rules(client, "changed-rules") == []
    assert [rule["Status"] for rule in rules_of(client, "changed-rules")] == ["Enabled"] * 2


def test_missing_bucket_is_error_with_next_step(
    client: "S3Client", capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.list_buckets()
    assert set_state_lifecycle.main(["--environment", "sit"]) == 1
    assert "NoSuchBucket" in capsys.readouterr().err


class OldBucket:
    """A bucket whose rules have the old form, which the engine no longer returns."""

    def __init__(self) -> None:
        self.written: dict[str, Any] = {}

    def get_bucket_lifecycle_configuration(self, **_: object) -> dict[str, Any]:
        return {
            "Rules": [{"Prefix": "old/", "Status": "Enabled", "Expiration": {"Days": 1}}],
            "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
            "ResponseMetadata": {},
        }

    def put_bucket_lifecycle_configuration(self, **arguments: object) -> None:
        self.written = arguments


def test_rule_with_old_prefix_gets_filter() -> None:
    bucket: Any = OldBucket()

    assert set_rules(bucket, "old") == ["a rule without an id"]
    kept = bucket.written["LifecycleConfiguration"]["Rules"][0]
    assert kept == {
        "Filter": {"Prefix": "old/"},
        "Status": "Enabled",
        "Expiration": {"Days": 1},
    }
    assert bucket.written["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
