"""An account on the local AWS with all that a deployment needs, for tests that break one part."""

import json
from typing import Any

import boto3

from product_tools.preflight.table import SCHEMA
from tests.support.terraform_files import TerraformFiles

REGION = "eu-west-1"
API_GATEWAY = "apigateway.amazonaws.com"


class PreparedAccount:
    """The account of `files`, in one region; each method makes one part.

    Args:
        files: the files of the environment.
        engine: the endpoint URL of the local AWS.
    """

    def __init__(self, files: TerraformFiles, engine: str) -> None:
        self.files = files
        self._engine = engine
        self.table_name = f"products-{files.environment}"

    def client(self, service: Any, region: str = REGION) -> Any:
        """Return a client of the account."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self._engine,
            aws_access_key_id=self.files.account,
            aws_secret_access_key="any",
        )

    def prepare(self) -> None:
        """Make all parts."""
        self.make_bucket()
        self.make_table()
        self.make_log_role()

    def make_bucket(self) -> None:
        """Make the bucket of the state."""
        client = self.client("s3")
        bucket = self.files.bucket
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        client.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        client.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
        )

    def make_table(self, **changes: object) -> None:
        """Make the table of the schema, with changed parameters of CreateTable."""
        client = self.client("dynamodb")
        schema = json.loads(SCHEMA.read_text())["table"]
        indexes = schema["globalSecondaryIndexes"]
        parameters = {
            "TableName": self.table_name,
            "KeySchema": key_schema(schema["hashKey"], schema["rangeKey"]),
            "AttributeDefinitions": attributes(**schema["attributes"]),
            "GlobalSecondaryIndexes": [
                index(name, each["hashKey"], each["rangeKey"]) for name, each in indexes.items()
            ],
            "BillingMode": schema["billingMode"],
        }
        client.create_table(**{**parameters, **changes})
        client.update_time_to_live(
            TableName=self.table_name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"},
        )
        self.set_backups(enabled=True)

    def set_backups(self, *, enabled: bool) -> None:
        """Switch point-in-time recovery of the table."""
        self.client("dynamodb").update_continuous_backups(
            TableName=self.table_name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )

    def make_role(self, name: str, trust: dict[str, Any]) -> str:
        """Make a role that this statement lets others use, and return its ARN."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **trust}]}
        created = self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(policy)
        )
        return str(created["Role"]["Arn"])

    def make_log_role(
        self, name: str = "bbws-api-gateway-logs-dev-eu-west-1", service: str = API_GATEWAY
    ) -> str:
        """Make API Gateway's role for logs, name it in the settings, and return its ARN."""
        trust = {"Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        arn = self.make_role(name, trust)
        self.client("apigateway").update_account(
            patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}]
        )
        return arn

    def make_domain(self, name: str, policy: str = "TLS_1_2", kind: str = "REGIONAL") -> None:
        """Make a custom domain of API Gateway, and set it for the environment."""
        self.files.set("custom_domain_name", name)
        certificate = f"arn:aws:acm:{REGION}:{self.files.account}:certificate/1"
        self.client("apigateway").create_domain_name(
            domainName=name,
            regionalCertificateArn=certificate,
            endpointConfiguration={"types": [kind]},
            securityPolicy=policy,
        )


def key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    """Return keys as CreateTable takes them."""
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def attributes(**types: str) -> list[dict[str, str]]:
    """Return the types of key attributes as CreateTable takes them."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def index(name: str, partition: str, sort: str, projection: str = "ALL") -> dict[str, Any]:
    """Return a global secondary index as CreateTable takes it."""
    return {
        "IndexName": name,
        "KeySchema": key_schema(partition, sort),
        "Projection": {"ProjectionType": projection},
    }
