"""SIT, deployed with the pipeline's commands: no request fails during shifts and rollbacks.

The engine stores the weights of an alias, but sends all requests to its main version. So the tests
read the shares from the alias. The second version marks its responses with an additional header.
"""

import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import boto3
import pytest
import urllib3

from local.engine import CREDENTIALS, Engine
from local.stack import LocalStack
from product_tools.aliases import ALIAS
from product_tools.functions import function_names
from product_tools.pipeline_roles import rights
from product_tools.plan_store import PREFIX
from product_tools.repository import REPOSITORY
from product_tools.terraform import LocalRoot
from product_tools.traffic import alarm_prefixes
from tests.support.factory import product_body
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_lambda import LambdaClient

pytestmark = pytest.mark.timeout(300)  # seconds; the deployment takes one minute

BUCKET: Final = "bbws-terraform-state-sit"
ALARM: Final = "bbws-product-api-sit-5xx"
API_KEY: Final = "key-of-the-traffic-tests"
FUNCTIONS: Final = function_names("sit")
MARK: Final = "X-Release"
MARKED_FILE: Final = "product_lambda/utils/response_builder.py"
RUNBOOKS: Final = REPOSITORY / "docs" / "runbooks"
LAST_ROUNDS: Final = 3  # rounds of requests after the end of the tested command
SECONDS_BETWEEN_REQUESTS: Final = 0.05  # two clients at this rate stay below the usage plan
SUCCESS: Final = {"POST": 201, "GET": 200, "PUT": 200, "DELETE": 204}


@dataclass(frozen=True)
class Job:
    """A pipeline job that deploys SIT: a checkout of the repository, and its settings."""

    checkout: Path
    settings: dict[str, str]
    credentials: dict[str, dict[str, str]]  # by role: plan and deploy

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the pipeline with only the permissions of its job."""
        path = self.checkout / "scripts" / f"{command}.py"
        role = "plan" if command == "plan_deployment" else "deploy"
        return subprocess.run(
            [sys.executable, path, "--environment", "sit", *arguments],
            cwd=self.checkout,
            env={**self.settings, **self.credentials[role]},
            capture_output=True,
            text=True,
            check=False,
        )

    def run_successfully(self, command: str, *arguments: str) -> str:
        """Run a command, check that it succeeds, and return its output."""
        result = self.run(command, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            region_name=self.settings["AWS_REGION"],
            endpoint_url=self.settings["AWS_ENDPOINT_URL"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture(scope="module")
def sit(stacks_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """SIT after its first deployment, made with the commands of the pipeline."""
    folder = tmp_path_factory.mktemp("sit")
    checkout = folder / "checkout"
    for name in ("catalogue", "local", "schemas", "scripts", "src", "terraform"):
        ignored = shutil.ignore_patterns("__pycache__", ".terraform")
        shutil.copytree(REPOSITORY / name, checkout / name, ignore=ignored)
    shutil.copytree(stacks_folder / "dev" / "packages", checkout / "dist")
    (checkout / ".venv").symlink_to(sys.prefix)  # as `bootstrap.sh dev` creates it

    values = LocalStack(folder, "sit").values
    account = values["aws_account_id"]
    with Engine(folder / "engine", enforce_iam=True, account_id=account) as engine:
        access = {**CREDENTIALS, "AWS_ENDPOINT_URL": engine.endpoint_url}
        schema = {"schema_file": str(checkout / "schemas" / "products.schema.json")}
        table = LocalRoot(
            checkout / "terraform" / "table",
            folder / "table",
            {**values, **schema, "deletion_protection": False},
            access,
        )
        table.init()
        table.plan()
        table.apply(lambda _address: None)

        job_settings = {
            # Bucket names in the path, code for this machine, an address, and a fixed API key.
            "TF_CLI_ARGS_init": "-backend-config=use_path_style=true",
            "TF_VAR_architecture": "arm64" if platform.machine() == "arm64" else "x86_64",
            "TF_VAR_alert_email": "team@example.com",
            "TF_VAR_api_key_values": json.dumps({"admin": API_KEY}),
            # The virtual environment would import this repository's packages.
            "PYTHONPATH": os.pathsep.join([str(checkout / "src"), str(checkout)]),
        }
        region = values["aws_region"]
        job = Job(checkout, {**os.environ, **access, **job_settings, "AWS_REGION": region}, {})
        for role in ("plan", "deploy"):
            job.credentials[role] = credentials_with(job, policy_of_role(role, account, region))
        job.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region}
        )
        job.run_successfully("plan_deployment", "--store")
        job.run_successfully("apply_plan")
        job.run_successfully("check_deployed_code")
        job.run_successfully("shift_traffic")
        yield job


def policy_of_role(role: str, account: str, region: str) -> str:
    """Return the policy of a workflow's role, but for every resource.

    The engine knows the action of every call, but for some calls not the resource.
    """
    statements = rights(role, "sit", account_id=account, region=region, state_bucket=BUCKET)
    document = [{**statement, "Resource": "*"} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": document})


def credentials_with(job: Job, policy: str) -> dict[str, str]:
    """Return credentials with only the permissions of a policy."""
    iam: IAMClient = job.client("iam")
    user = f"user-{uuid4().hex}"
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="permissions", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture(scope="module")
def base_url(sit: Job) -> str:
    """The URL of SIT's API; it contains the five plans, whose ids no test has used before."""
    gateway = sit.client("apigateway")
    [api] = gateway.get_rest_apis()["items"]
    [stage] = gateway.get_stages(restApiId=api["id"])["item"]
    path = f"restapis/{api['id']}/{stage['stageName']}/_user_request_"
    url = f"{sit.settings['AWS_ENDPOINT_URL']}/{path}"
    subprocess.run(
        [sys.executable, str(sit.checkout / "scripts" / "seed_products.py"), "--base-url", url],
        env={**sit.settings, "API_KEY": API_KEY},
        check=True,
    )
    return url


@pytest.fixture(scope="module")
def switch_plan(sit: Job) -> str:
    """The summary of a plan of the read-only switch, with the code of the live versions."""
    for package in (sit.checkout / "dist").glob("*.zip"):
        package.write_bytes(b"newer than the running release")
    sit.run_successfully("fetch_live_packages")
    switch = replace(sit, settings={**sit.settings, "TF_VAR_read_only": "true"})
    return switch.run_successfully("plan_deployment")


@pytest.fixture(scope="module")
def second_versions(sit: Job, switch_plan: str) -> list[str]:
    """A second version of every function, without traffic; its responses have one more header.

    The version numbers are in the order of FUNCTIONS. `switch_plan` comes first, since the engine
    has only the newest code of a function.
    """
    assert switch_plan
    functions: LambdaClient = sit.client("lambda")
    published = []
    for function in FUNCTIONS:
        package = function.removeprefix("bbws-").removesuffix("-sit").replace("-", "_")
        code = with_marked_responses((sit.checkout / "dist" / f"{package}.zip").read_bytes())
        response = functions.update_function_code(FunctionName=function, ZipFile=code, Publish=True)
        published.append(response["Version"])
    return published


@dataclass(frozen=True)
class StoredPlan:
    """A stored plan: its public files by name, and the content of the private plan file."""

    public: dict[str, str]
    private: bytes


@pytest.fixture(scope="module")
def plan_after_shift(sit: Job, second_versions: list[str]) -> StoredPlan:
    """A plan that was made while all requests went to the second versions."""
    assert second_versions
    bucket = sit.client("s3")
    summary = sit.checkout / "summary.md"
    sit.run_successfully("shift_traffic")
    try:
        sit.run_successfully("plan_deployment", "--summary", str(summary), "--store")
    finally:
        sit.run_successfully("rollback")
    [plan] = bucket.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]
    stored = bucket.get_object(Bucket=BUCKET, Key=plan["Key"])["Body"].read()
    bucket.delete_object(Bucket=BUCKET, Key=plan["Key"])
    with zipfile.ZipFile(io.BytesIO(stored)) as opened:
        private = b"".join(map(opened.read, opened.namelist()))
    files = [path for path in (sit.checkout / ".local" / "plan").iterdir() if path.is_file()]
    return StoredPlan({path.name: path.read_text() for path in (*files, summary)}, private)


def with_marked_responses(package: bytes) -> bytes:
    """Change the code of a function: its responses get one more header."""
    common_header = b'"X-Content-Type-Options": "nosniff",'
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            if "__pycache__/response_builder." in entry.filename:
                continue  # Python would run this bytecode instead of the changed source
            content = old.read(entry)
            if entry.filename == MARKED_FILE:
                assert content.count(common_header) == 1
                content = content.replace(
                    common_header, f'"{MARK}": "second",'.encode() + common_header
                )
            new.writestr(entry, content, compresslevel=1)
    return changed.getvalue()


class Load:
    """Constant load: two clients that create, read, list, update and delete products."""

    def __init__(self, base_url: str) -> None:
        self.releases: list[str] = []  # the release that sent each response, in order
        self.failures: list[str] = []
        self._products = f"{base_url}/products"
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, timeout=30)
        self._ended = threading.Event()
        self._pace = threading.Event()  # never set; only its time-out is used

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests from before the tested command until after its end."""
        clients = [threading.Thread(target=self._send_until_end) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            eventually(lambda: self.releases or self.failures or None, "the first responses", 60)
            yield
        finally:
            self._ended.set()
            for client in clients:
                client.join()

    def _send_until_end(self) -> None:
        rounds_left = LAST_ROUNDS
        while rounds_left > 0:
            rounds_left -= self._ended.is_set()
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 -- any error is a failed request
                self.failures.append(repr(error))

    def _round(self) -> None:
        created = self._send("POST", self._products, json=product_body())
        path = f"{self._products}/{created.json()['productId']}"
        self._send("GET", path)
        self._send("GET", self._products)
        self._send("PUT", path, json={"price": 5})
        self._send("DELETE", path)

    def _send(self, method: str, url: str, **body: Any) -> urllib3.BaseHTTPResponse:
        headers = {} if method == "GET" else {"x-api-key": API_KEY}
        if body:
            headers["content-type"] = "application/json"
        if method == "POST":
            headers["idempotency-key"] = str(uuid4())
        self._pace.wait(SECONDS_BETWEEN_REQUESTS)
        response = self._pool.request(method, url, headers=headers, **body)
        if response.status != SUCCESS[method]:
            raise AssertionError(f"{method} {url}: {response.status} {response.data!r}")
        self.releases.append(response.headers.get(MARK, "first"))
        return response


def versions(sit: Job) -> list[str]:
    """Return the versions that get all requests, in the order of FUNCTIONS."""
    functions: LambdaClient = sit.client("lambda")
    aliases = [functions.get_alias(FunctionName=name, Name=ALIAS) for name in FUNCTIONS]
    assert [alias.get("RoutingConfig") for alias in aliases] == [None] * len(FUNCTIONS)
    return [alias["FunctionVersion"] for alias in aliases]


def command_that_records_weights(file: Path) -> str:
    """Return a validation command that appends version and weights of each alias to a file."""
    program = f"""
import boto3, json, os
functions = boto3.client("lambda", region_name=os.environ["AWS_REGION"])
aliases = [functions.get_alias(FunctionName=name, Name={ALIAS!r}) for name in {FUNCTIONS!r}]
with open({str(file)!r}, "a") as records:
    print(json.dumps([
        [alias["FunctionVersion"], alias.get("RoutingConfig", {{}}).get("AdditionalVersionWeights")]
        for alias in aliases
    ]), file=records)
"""
    return shlex.join([sys.executable, "-c", program])


def command_that_sets_alarm() -> str:
    """Return a validation command that passes, but sets the alarm, as errors of users do."""
    program = f"""
import boto3, os
os.environ.update({CREDENTIALS!r})  # the job has no permission to set alarms
boto3.client("cloudwatch", region_name=os.environ["AWS_REGION"]).set_alarm_state(
    AlarmName={ALARM!r}, StateValue="ALARM", StateReason="a test")
"""
    return shlex.join([sys.executable, "-c", program])


def test_plan_contains_key_but_does_not_show_it(plan_after_shift: StoredPlan) -> None:
    assert API_KEY.encode() in plan_after_shift.private  # so the plan is not an artifact
    assert sorted(plan_after_shift.public) == ["plan.sha256", "plan.txt", "summary.md"]
    assert not any(API_KEY in text for text in plan_after_shift.public.values())


def test_plan_after_shift_leaves_aliases_unchanged(
    plan_after_shift: StoredPlan,
) -> None:
    summary = plan_after_shift.public["summary.md"]

    assert summary.startswith("## Plan for SIT\n")
    assert "aws_lambda_alias" not in summary


def test_switch_with_live_packages_changes_no_code(switch_plan: str) -> None:
    rows = re.findall(
        r"^\| (\w+) \| `aws_lambda_function\..*` \| (.*) \|$", switch_plan, re.MULTILINE
    )

    assert [kind for kind, _ in rows] == ["change"] * len(FUNCTIONS)
    for _, attributes in rows:
        assert "environment" in attributes
        assert "code" not in attributes


def test_apply_leaves_only_state_in_bucket(sit: Job) -> None:
    objects = sit.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]

    assert [item["Key"] for item in objects] == ["2_bbws_product_lambda/terraform.tfstate"]


def test_shift_watches_all_alarms_but_unreadable_items(sit: Job) -> None:
    alarms = sit.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]
    names = [alarm["AlarmName"] for alarm in alarms]

    assert ALARM in names
    watched = tuple(alarm_prefixes("sit"))
    other = [name for name in names if not name.startswith(watched)]
    assert other == ["bbws-product-items-sit-unreadable"]


def test_every_deployed_alarm_has_runbook_section(sit: Job) -> None:
    alarms = sit.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]
    runbook = (RUNBOOKS / "product_lambda_operations.md").read_text()

    for alarm in alarms:
        assert f"### `{alarm['AlarmName'].replace('-sit-', '-{env}-')}`" in runbook


@pytest.mark.usefixtures("second_versions")
def test_check_finds_code_that_was_not_packaged(sit: Job) -> None:
    check = sit.run("check_deployed_code")

    assert check.returncode == 1
    assert check.stderr.count("do not shift traffic to it") == len(FUNCTIONS)


def test_no_request_fails_during_shift_and_rollback(
    sit: Job, base_url: str, second_versions: Sequence[str], tmp_path: Path
) -> None:
    first_versions = versions(sit)
    records = tmp_path / "weights"
    validation = command_that_records_weights(records)
    load_during_shift, load_during_rollback = Load(base_url), Load(base_url)

    with load_during_shift.running():
        sit.run_successfully("shift_traffic", "--steps", "10,50,100", "--validate", validation)
    versions_after_shift = versions(sit)
    with load_during_rollback.running():
        output = sit.run_successfully("rollback")

    pairs = list(zip(first_versions, second_versions, strict=True))
    assert [json.loads(line) for line in records.read_text().splitlines()] == [
        [[first, {second: 0.1}] for first, second in pairs],
        [[first, {second: 0.5}] for first, second in pairs],
        [[second, None] for second in second_versions],
    ]
    assert load_during_shift.failures == []
    assert load_during_shift.releases[0] == "first"
    assert load_during_shift.releases[-1] == "second"
    assert versions_after_shift == second_versions

    assert output.count(": rolled back from version ") == len(FUNCTIONS)
    assert load_during_rollback.failures == []
    assert load_during_rollback.releases[0] == "second"
    assert load_during_rollback.releases[-1] == "first"
    assert versions(sit) == first_versions


@pytest.mark.usefixtures("second_versions")
def test_no_request_fails_when_alarm_ends_shift(sit: Job, base_url: str) -> None:
    first_versions = versions(sit)
    load = Load(base_url)

    try:
        with load.running():
            arguments = ["--steps", "50,100", "--wait", "60", "--validate"]
            shift = sit.run("shift_traffic", *arguments, command_that_sets_alarm())
    finally:
        sit.client("cloudwatch").set_alarm_state(
            AlarmName=ALARM, StateValue="OK", StateReason="end of a test"
        )

    assert shift.returncode == 1
    assert ALARM in shift.stderr
    assert load.failures == []
    assert load.releases[-1] == "first"
    assert versions(sit) == first_versions


@pytest.mark.usefixtures("second_versions")
def test_no_request_fails_when_validation_fails(sit: Job, base_url: str) -> None:
    first_versions = versions(sit)
    load = Load(base_url)

    with load.running():
        shift = sit.run("shift_traffic", "--validate", "false")

    assert shift.returncode == 1
    assert load.failures == []
    assert load.releases[-1] == "first"
    assert versions(sit) == first_versions
