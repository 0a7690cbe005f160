"""Sign-in and rights of the GitHub workflows, in an account of their own with IAM enforced.

An administrator applies the roots of the account; then each role does its work, and nothing else.
The emulator checks the action of each request, and the resource where it finds it. It checks no
`iam:PassRole`. All policies are compared with AWS's own list of actions too.
"""

import base64
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

from local.engine import CREDENTIALS, Engine
from local.stack import FEATURES, LocalStack
from product_tools.functions import EVENT_FUNCTIONS, FUNCTIONS, function_names
from product_tools.pipeline_roles import POLICIES, ROLES, github_environment, rights, role_name
from product_tools.repository import REPOSITORY
from product_tools.terraform import TERRAFORM_FOLDER, LocalRoot, TerraformError, find_terraform
from tests.support.aws_policies import findings
from tests.support.aws_requests import CheckingProxy, checking_proxy

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

pytestmark = [
    pytest.mark.timeout(600),  # seconds; a deployment takes one minute
    pytest.mark.usefixtures("stacks_folder"),  # only in make e2e
]

REGION: Final = "eu-west-1"
ISSUER: Final = "token.actions.githubusercontent.com"
PREFIX: Final = "repo:octo-org@123456/2_bbws_product_lambda@456789"
DOMAIN: Final = "api.example.com"
BUCKET: Final = "bbws-terraform-state-dev"
AUDIT_BUCKET: Final = "bbws-product-audit-logs-dev"
FOLDER: Final = "2_bbws_product_lambda"
FUNCTION: Final = function_names("dev")[0]
DENIED: Final = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

# The emulator does not find the resource of these actions, so it needs the right for all resources.
WITHOUT_RESOURCE: Final = {
    "cloudfront:DescribeFunction",
    "cloudfront:GetCachePolicy",
    "cloudfront:GetFunction",
    "cloudfront:GetOriginRequestPolicy",
    "cloudfront:ListTagsForResource",
    "cloudfront:PublishFunction",
    "cloudfront:TagResource",
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DeleteDashboards",
    "cloudwatch:GetDashboard",
    "cloudwatch:ListTagsForResource",
    "cloudwatch:PutDashboard",
    "dynamodb:ListTagsOfResource",
    "events:CreateArchive",
    "events:CreateEventBus",
    "events:DescribeArchive",
    "events:DescribeEventBus",
    "events:ListTagsForResource",
    "lambda:CreateFunction",
    "sns:GetSubscriptionAttributes",
    "sns:ListTagsForResource",
    "sns:Unsubscribe",
    "wafv2:AssociateWebACL",
    "wafv2:DisassociateWebACL",
    "wafv2:GetWebACLForResource",
    "wafv2:ListTagsForResource",
}


class Account:
    """An account on an engine of its own, with what exists before the first deployment.

    Attributes:
        stack: the service in this account, not deployed yet.
    """

    def __init__(self, engine: Engine, proxy: CheckingProxy, folder: Path) -> None:
        packages = folder / "packages"
        packages.mkdir()
        for function in (*FUNCTIONS, *EVENT_FUNCTIONS):  # no test calls a function
            with zipfile.ZipFile(packages / f"{function}.zip", "w") as package:
                package.writestr("empty.py", "")
        self.endpoint_url = engine.endpoint_url
        self._provider_settings = {"AWS_ENDPOINT_URL": proxy.endpoint_url}
        self.stack = LocalStack(folder / "service", packages=packages, features=FEATURES)
        self.stack.engine_folder = engine.state_dir
        self.stack.backend_file = None
        self.account_id = self.stack.values["aws_account_id"]
        self.stack.variables = {
            "alert_email": "team@example.com",
            "audit_retention_days": 30,
            "custom_domain_name": DOMAIN,
            "reserved_concurrency": 10,
            "waf_enabled": True,
        }

    def root(
        self, path: str, variables: Mapping[str, object], folder: str | None = None
    ) -> LocalRoot:
        """Return an initialised root module of the administrator."""
        root = LocalRoot(
            TERRAFORM_FOLDER / path,
            self.stack.folder / "terraform" / (folder or path),
            {**self.stack.values, **variables},
            {**CREDENTIALS, "AWS_MAX_ATTEMPTS": "3", **self._provider_settings},
        )
        root.init()
        return root

    def service(self, role: str) -> LocalRoot:
        """Return the service's initialised root module, with the credentials of a role."""
        self.stack.provider_settings = {**self._provider_settings, **self.credentials(role)}
        root = self.stack.main_root()
        root.init()
        return root

    def client(self, service: Any, credentials: Mapping[str, str] = CREDENTIALS) -> Any:
        """Return a client with the rights of the administrator, or of a role."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
        )

    def sign_in(
        self, role: str, subject: str, audience: str = "sts.amazonaws.com"
    ) -> dict[str, str]:
        """Return the credentials of a role for a GitHub token with these claims."""
        claims = {"iss": f"https://{ISSUER}", "sub": subject, "aud": audience}
        parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        session = self.client("sts").assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{self.account_id}:role/{role_name(role, 'dev')}",
            RoleSessionName="test",
            WebIdentityToken=f"{token}.",
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def credentials(self, role: str) -> dict[str, str]:
        """Return the credentials of a role, as a job of its GitHub environment gets them."""
        return self.sign_in(role, f"{PREFIX}:environment:{github_environment(role, 'dev')}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine of the account, which enforces IAM."""
    folder = tmp_path_factory.mktemp("engine")
    account_id = LocalStack(folder).values["aws_account_id"]
    with Engine(folder, enforce_iam=True, account_id=account_id) as engine:
        yield engine


@pytest.fixture(scope="module")
def proxy(engine: Engine) -> Iterator[CheckingProxy]:
    """The proxy that checks the requests of Terraform."""
    with checking_proxy(engine.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def account(
    engine: Engine, proxy: CheckingProxy, tmp_path_factory: pytest.TempPathFactory
) -> Account:
    """An account with the roots that an administrator applies, the table and a custom domain."""
    account = Account(engine, proxy, tmp_path_factory.mktemp("account"))
    _apply(account.root("region", {}))
    _apply(account.root("pipelines", {"github_subject_prefix": PREFIX}))
    table = account.stack.table_root()
    table.init()
    _apply(table)
    account.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    account.client("apigateway").create_domain_name(
        domainName=DOMAIN,
        regionalCertificateArn=f"arn:aws:acm:{REGION}:{account.account_id}:certificate/1",
        endpointConfiguration={"types": ["REGIONAL"]},
        securityPolicy="TLS_1_2",
    )
    _widen_rights(account)
    return account


@pytest.fixture(scope="module")
def created(account: Account, proxy: CheckingProxy) -> list[str]:
    """The addresses of the resources that the role of the deployments has created."""
    try:
        return _apply(account.service("deploy"))
    except TerraformError as error:
        error.add_note(f"Requests without a response, or with a server error: {proxy.failures}")
        raise


def test_deploy_role_creates_every_optional_resource(created: list[str]) -> None:
    kinds = {address.split(".")[0] for address in created}

    assert kinds >= {
        "aws_api_gateway_base_path_mapping",
        "aws_cloudfront_cache_policy",
        "aws_cloudfront_distribution",
        "aws_cloudfront_function",
        "aws_cloudfront_origin_request_policy",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_event_archive",
        "aws_cloudwatch_event_target",
        "aws_iam_role_policy",
        "aws_lambda_alias",
        "aws_lambda_event_source_mapping",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_object_lock_configuration",
        "aws_sns_topic_subscription",
        "aws_sqs_queue",
        "aws_wafv2_web_acl_association",
    }


def test_edge_keeps_path_of_custom_domain(account: Account, created: list[str]) -> None:
    assert created
    state = json.loads(
        (account.stack.folder / "terraform" / "main" / "terraform.tfstate").read_text()
    )
    [distribution] = [
        each["instances"][0]["attributes"]
        for each in state["resources"]
        if each["type"] == "aws_cloudfront_distribution"
    ]
    [origin] = distribution["origin"]
    [products] = distribution["ordered_cache_behavior"]
    assert (origin["domain_name"], origin["origin_path"]) == (DOMAIN, "")
    assert products["path_pattern"] == "/v1.0/products*"
    for behavior in (products, distribution["default_cache_behavior"][0]):
        [function] = behavior["function_association"]
        assert function["event_type"] == "viewer-request"
        assert function["function_arn"].endswith(":function/bbws-product-edge-dev-viewer-address")
    assert state["outputs"]["edge_url"]["value"] == f"https://{distribution['domain_name']}/v1.0"


@pytest.mark.parametrize("path", ["main", "table", "region", "pipelines"])
def test_policies_fit_the_list_of_aws(account: Account, created: list[str], path: str) -> None:
    assert created
    state = account.stack.folder / "terraform" / path / "terraform.tfstate"
    resources = json.loads(state.read_text())["resources"]
    # The topic has the default policy, which AWS writes.
    policies = list(_policies([each for each in resources if each["type"] != "aws_sns_topic"]))
    assert policies or path == "table"
    assert [finding for policy in policies for finding in findings(policy)] == []


def test_plan_role_plans(account: Account, created: list[str]) -> None:
    assert created
    changes = account.service("plan").plan()
    assert {change.actions for change in changes} <= {("update",)}  # the emulator misreports some


def test_requests_of_terraform_fit_the_models_of_aws(
    proxy: CheckingProxy, created: list[str]
) -> None:
    assert created
    assert proxy.findings == []
    # S3 has XML bodies, which the proxy does not read.
    assert [request for request in proxy.unread if "XML bodies" not in request] == []
    services = {operation.partition(":")[0] for operation in proxy.operations}
    assert services >= {
        *("apigateway", "cloudwatch", "events", "iam", "lambda", "logs", "sns", "sqs", "wafv2"),
    }


def test_rollback_role_rolls_back_a_shift(account: Account, created: list[str]) -> None:
    assert created
    functions = account.client("lambda")
    for name in function_names("dev"):
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(
            FunctionName=name,
            Name="live",
            FunctionVersion=version,
            Description=f"shifted from 1 to {version} (shift 1)",
        )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **account.credentials("rollback"),
        "AWS_ENDPOINT_URL": account.endpoint_url,
        "AWS_REGION": REGION,
    }
    command = ["scripts/rollback.py", "--environment", "dev"]
    completed = subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.count("for all requests") == len(FUNCTIONS)


# Service, operation and parameters of a call that changes or reveals something.
CALLS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "delete a version": (
        "lambda",
        "delete_function",
        {"FunctionName": FUNCTION, "Qualifier": "99"},
    ),
    "change the settings of a function": (
        "lambda",
        "update_function_configuration",
        {"FunctionName": FUNCTION, "Description": "changed"},
    ),
    "change the settings of a function of others": (
        "lambda",
        "update_function_configuration",
        {"FunctionName": "bbws-list-orders-dev", "Description": "changed"},
    ),
    "read the state": (
        "s3",
        "get_object",
        {"Bucket": BUCKET, "Key": f"{FOLDER}/terraform.tfstate"},
    ),
    "list the folder of the state": (
        "s3",
        "list_objects_v2",
        {"Bucket": BUCKET, "Prefix": f"{FOLDER}/"},
    ),
    "list the states of others": (
        "s3",
        "list_objects_v2",
        {"Bucket": BUCKET, "Prefix": "another_service/"},
    ),
    "write the state": (
        "s3",
        "put_object",
        {"Bucket": BUCKET, "Key": f"{FOLDER}/terraform.tfstate", "Body": b""},
    ),
    "lock the state": (
        "s3",
        "put_object",
        {"Bucket": BUCKET, "Key": f"{FOLDER}/terraform.tfstate.tflock", "IfNoneMatch": "*"},
    ),
    "unlock the state": (
        "s3",
        "delete_object",
        {"Bucket": BUCKET, "Key": f"{FOLDER}/terraform.tfstate.tflock"},
    ),
    "store a plan": ("s3", "put_object", {"Bucket": BUCKET, "Key": f"{FOLDER}/plans/1.tfplan"}),
    "write the state of the roles": (
        "s3",
        "put_object",
        {"Bucket": BUCKET, "Key": f"{FOLDER}/pipelines.tfstate", "Body": b"{}"},
    ),
    "change a role of the workflows": (
        "iam",
        "put_role_policy",
        {"RoleName": role_name("plan", "dev"), "PolicyName": "more", "PolicyDocument": "{}"},
    ),
    "change the account of API Gateway": ("apigateway", "update_account", {"patchOperations": []}),
    "delete a custom domain": ("apigateway", "delete_domain_name", {"domainName": DOMAIN}),
    "read a product": (
        "dynamodb",
        "get_item",
        {"TableName": "products-dev", "Key": {"PK": {"S": "P"}, "SK": {"S": "M"}}},
    ),
    "delete the audit trail": ("s3", "delete_bucket", {"Bucket": AUDIT_BUCKET}),
    "write into the audit trail": ("s3", "put_object", {"Bucket": AUDIT_BUCKET, "Key": "1"}),
    "send a command": (
        "sqs",
        "send_message",
        {
            "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/536580886816/bbws-product-change-dev.fifo",
            "MessageBody": "{}",
            "MessageGroupId": "PROD-001",
            "MessageDeduplicationId": "1",
        },
    ),
    "put an event": (
        "events",
        "put_events",
        {
            "Entries": [
                {
                    "EventBusName": "bbws-product-events-dev",
                    "Source": "bbws.product",
                    "DetailType": "ProductCreated",
                    "Detail": "{}",
                }
            ]
        },
    ),
    "delete the table": ("dynamodb", "delete_table", {"TableName": "products-dev"}),
}
ALLOWED: Final[Mapping[str, set[str]]] = {
    "plan": {"read the state", "list the folder of the state", "store a plan"},
    "deploy": {
        "delete a version",
        "change the settings of a function",
        "read the state",
        "list the folder of the state",
        "write the state",
        "lock the state",
        "unlock the state",
        "store a plan",
    },
    "rollback": set(),
}


@pytest.mark.parametrize("role", ROLES)
def test_role_allows_only_its_calls(account: Account, created: list[str], role: str) -> None:
    assert created
    credentials = account.credentials(role)
    allowed = set()
    for name, (service, operation, parameters) in CALLS.items():
        try:
            getattr(account.client(service, credentials), operation)(**parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] in DENIED:
                continue
        allowed.add(name)
    assert allowed == ALLOWED[role]


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    """A root module without resources, on the remote state of the service."""
    backend = (TERRAFORM_FOLDER / "backend.tf").read_text()
    (tmp_path / "backend.tf").write_text(backend)
    (tmp_path / "main.tf").write_text('output "one" {\n  value = 1\n}\n')
    return tmp_path


def test_roles_use_the_remote_state(account: Account, empty_root: Path) -> None:
    """Terraform's S3 backend, from a missing state on: reads, writes and the lock."""
    _connect(account, "plan", empty_root)
    assert "+ one = 1" in _terraform(account, "plan", empty_root, "plan", "-lock=false")
    with pytest.raises(AssertionError, match="Error acquiring the state lock"):
        _terraform(account, "plan", empty_root, "apply", "-auto-approve")

    _terraform(account, "deploy", empty_root, "apply", "-auto-approve")
    assert _terraform(account, "plan", empty_root, "output", "-raw", "one") == "1"


@pytest.mark.parametrize("key", ["pipelines", "region"])
def test_deploy_role_does_not_reach_state_of_administrator(
    account: Account, empty_root: Path, key: str
) -> None:
    state = f"-backend-config=key={FOLDER}/{key}.tfstate"
    with pytest.raises(AssertionError, match="403"):
        _connect(account, "deploy", empty_root, state)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("subject", "audience"),
    [
        (f"{PREFIX}:environment:prod-approval", "sts.amazonaws.com"),
        (f"{PREFIX}:ref:refs/heads/main", "sts.amazonaws.com"),
        ("repo:octo-org/2_bbws_product_lambda:environment:{}", "sts.amazonaws.com"),
        ("repo:octo-org@123456/2_bbws_product_lambda@4567890:environment:{}", "sts.amazonaws.com"),
        (f"{PREFIX}:environment:{{}}", "https://github.com/octo-org"),
    ],
    ids=["environment", "branch", "names", "repository", "audience"],
)
def test_token_of_other_job_is_rejected(
    account: Account, role: str, subject: str, audience: str
) -> None:
    with pytest.raises(ClientError, match="Not authorized to perform"):
        account.sign_in(role, subject.format(github_environment(role, "dev")), audience)


def test_account_names_role_for_logs(account: Account) -> None:
    arn = account.client("apigateway").get_account()["cloudwatchRoleArn"]
    assert arn.endswith(":role/bbws-api-gateway-logs-dev-eu-west-1")


@pytest.mark.parametrize("path", ["region", "pipelines"])
def test_destroy_of_shared_resource_fails(account: Account, path: str) -> None:
    variables = {"github_subject_prefix": PREFIX} if path == "pipelines" else {}
    root = account.root(path, variables)
    with pytest.raises(TerraformError, match="Instance cannot be destroyed"):
        root._run_with_events(["plan", "-destroy", "-input=false", "-json"])


def test_existing_oidc_provider_is_used(account: Account) -> None:
    variables = {"github_subject_prefix": PREFIX, "create_oidc_provider": False}
    root = account.root("pipelines", variables, "provider-of-others")
    assert {change.kind for change in root.plan()} == {
        *("aws_iam_role", "aws_iam_role_policy"),
        *("aws_iam_policy", "aws_iam_role_policy_attachment"),
    }


def test_existing_oidc_provider_without_audience_stops_plan(account: Account) -> None:
    iam: IAMClient = account.client("iam")
    provider = f"arn:aws:iam::{account.account_id}:oidc-provider/{ISSUER}"
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["another"])
    try:
        variables = {"github_subject_prefix": PREFIX, "create_oidc_provider": False}
        root = account.root("pipelines", variables, "provider-of-others")
        with pytest.raises(TerraformError, match=r"must accept sts\.amazonaws\.com"):
            root.plan()
    finally:
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"]
        )


def test_roles_of_prod_have_rights_in_both_regions(account: Account) -> None:
    prod = LocalStack(account.stack.folder / "prod", "prod").values
    root = account.root("pipelines", {**prod, "github_subject_prefix": PREFIX}, "prod")
    # The credentials are those of DEV's account, which the provider rejects for PROD.
    override = root.folder / "account_override.tf"
    override.write_text('provider "aws" {\n  allowed_account_ids = null\n}\n')
    root.plan()
    shown = json.loads(root._output_of(["show", "-json", str(root._plan)], "no plan"))
    resources = shown["planned_values"]["root_module"]["resources"]
    policies = {
        each["index"]: each["values"]["policy"]
        for each in resources
        if each["type"] in {"aws_iam_role_policy", "aws_iam_policy"}
    }
    assert policies.keys() == {name for names in POLICIES.values() for name in names}
    for role in ROLES:
        expected = [
            rights(
                role,
                "prod",
                account_id=prod["aws_account_id"],
                region=region,
                state_bucket=f"bbws-terraform-state-{place}",
            )
            for region, place in (("af-south-1", "prod"), ("eu-west-1", "prod-recovery"))
        ]
        statements = [
            statement
            for name in POLICIES[role]
            for statement in json.loads(policies[name])["Statement"]
        ]
        for statement, *parts in zip(statements, *expected, strict=True):
            resources = [each for part in parts for each in part["Resource"]]
            assert statement == {**parts[0], "Resource": list(dict.fromkeys(resources))}
        # IAM User Guide, "IAM and AWS STS quotas": the inline policy, and a managed one.
        for name, limit in zip(POLICIES[role], (10_240, 6_144), strict=False):
            assert len(policies[name]) <= limit


@pytest.mark.parametrize(
    ("path", "variables"),
    [
        (
            "pipelines",
            {
                "environment": "test",
                "aws_account_id": "123",
                "aws_region": "us-east-1",
                "github_subject_prefix": "repo:octo-org/*",
            },
        ),
        ("region", {"environment": "test", "aws_account_id": "123", "aws_region": "us-east-1"}),
    ],
)
def test_invalid_value_of_each_input_is_rejected(
    account: Account, path: str, variables: dict[str, object]
) -> None:
    root = account.root(path, variables, f"invalid-{path}")
    with pytest.raises(TerraformError):
        root.plan()
    log = (root.folder / "terraform.log").read_text()
    assert {name for name in variables if f'"detail":"{name} must be' in log} == variables.keys()


def test_prefix_without_ids_is_accepted(account: Account) -> None:
    variables = {"github_subject_prefix": "repo:octo-org/2_bbws_product_lambda"}
    assert account.root("pipelines", variables, "older-prefix").plan()


def _connect(account: Account, role: str, folder: Path, *options: str) -> None:
    settings = {"bucket": BUCKET, "region": REGION, "use_path_style": "true"}
    backend = [f"-backend-config={name}={value}" for name, value in settings.items()]
    _terraform(account, role, folder, "init", "-reconfigure", *backend, *options)


def _terraform(account: Account, role: str, folder: Path, *arguments: str) -> str:
    """Run Terraform with the credentials of a role, and return its output."""
    completed = subprocess.run(
        [find_terraform(), *arguments, "-no-color"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": account.endpoint_url,
            **account.credentials(role),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, " ".join(completed.stderr.split())
    return completed.stdout


def _policies(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the policy documents in a state, wherever they are."""
    if isinstance(value, str) and '"Statement"' in value:
        yield json.loads(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _policies(part)


def _apply(root: LocalRoot) -> list[str]:
    root.plan()
    applied: list[str] = []
    root.apply(applied.append)
    return applied


def _widen_rights(account: Account) -> None:
    """Give each role what the emulator asks for its own actions, and AWS does not."""
    iam: IAMClient = account.client("iam")
    for role in ROLES:
        statements = rights(
            role, "dev", account_id=account.account_id, region=REGION, state_bucket=BUCKET
        )
        added = []
        for statement in statements:
            if actions := sorted(WITHOUT_RESOURCE.intersection(statement["Action"])):
                added.append({"Action": actions, "Resource": "*"})
            if "lambda:FunctionArn" in json.dumps(statement.get("Condition")):
                # It does not compare the function of an event source with a condition.
                added.append({"Action": statement["Action"], "Resource": "*"})
            if "lambda:GetAlias" in statement["Action"]:
                # It takes the name of this action for each request to an alias.
                added.append({"Action": "lambda:ListAliases", "Resource": statement["Resource"]})
            if "cloudfront:CreateDistribution" in statement["Action"]:  # as for aliases
                added.append({"Action": "cloudfront:CreateDistributionWithTags", "Resource": "*"})
            if "lambda:GetEventSourceMapping" in statement["Action"]:  # as for aliases
                added.append({"Action": "lambda:ListEventSourceMappings", "Resource": "*"})
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", **each} for each in added],
        }
        iam.put_role_policy(
            RoleName=role_name(role, "dev"),
            PolicyName="what-the-emulator-asks-for",
            PolicyDocument=json.dumps(document),
        )
