"""An account on the local AWS with all that a deployment needs, for tests that break one part."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import boto3

from product_tools.pipeline_roles import ROLES, github_environment, rights, role_name
from product_tools.preflight.checks import Outcome, Row, results
from product_tools.preflight.table import SCHEMA
from product_tools.preflight.target import Target
from tests.support.github_settings import PREFIX
from tests.support.terraform_files import TerraformFiles

REGION = "eu-west-1"
ISSUER = "token.actions.githubusercontent.com"
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
        self.make_oidc_provider()
        self.make_workflow_roles()

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

    def make_role(self, name: str, *trusts: dict[str, Any]) -> str:
        """Make a role that these statements let others use, and return its ARN."""
        statements = [{"Effect": "Allow", **trust} for trust in trusts]
        policy = {"Version": "2012-10-17", "Statement": statements}
        created = self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(policy)
        )
        return str(created["Role"]["Arn"])

    def make_workflow_roles(self, prefix: str = PREFIX, role: str | None = None) -> None:
        """Make the roles of DEV's workflows, or one of them, with their rights.

        The rights are without conditions, since the simulator of the local AWS evaluates none.
        """
        for name in ROLES if role is None else [role]:
            self.make_role(role_name(name, "dev"), trust_in_jobs(self.files.account, prefix, name))
            self.set_rights(name, _without_conditions)

    def set_rights(
        self, role: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Give a workflow's role of DEV its rights after a change, and return them."""
        account, bucket = self.files.account, self.files.bucket
        statements = change(
            rights(role, "dev", account_id=account, region=REGION, state_bucket=bucket)
        )
        self.client("iam").put_role_policy(
            RoleName=role_name(role, "dev"),
            PolicyName=role,
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        return statements

    def make_oidc_provider(self, audience: str = "sts.amazonaws.com") -> None:
        """Make the OIDC provider of GitHub."""
        self.client("iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=[audience], ThumbprintList=["a" * 40]
        )

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


def _without_conditions(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**statement, "Condition": {}} for statement in statements]


def trust_in_jobs(account: str, prefix: str, role: str) -> dict[str, Any]:
    """Return the statement that lets the jobs of a role's GitHub environment use it."""
    environment = github_environment(role, "dev")
    return {
        "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": "sts.amazonaws.com",
                f"{ISSUER}:sub": f"{prefix}:environment:{environment}",
            }
        },
    }


def rows(topic: ModuleType, deployment: str = "dev") -> dict[str, Row]:
    """Return the results of a topic of the preflight, by what they look at."""
    return {row.what: row for row in results(topic.checks(Target.of(deployment)), 60)}


def is_complete(topic: ModuleType) -> bool:
    """Return whether a topic finds everything, and says of nothing how to mend it."""
    return {(row.outcome, row.mend) for row in rows(topic).values()} == {(Outcome.FOUND, "")}


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
