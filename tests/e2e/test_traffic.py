"""SIT, deployed by the pipeline's own programs, and its traffic under load: no request may fail.

The emulator keeps an alias's weights and sends all requests to its main version, so the shares
are looked up on the alias; which version answers is told by a header that the second one adds.
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
from dataclasses import dataclass
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
from product_tools.remote_terraform import PLANS
from product_tools.repository import REPOSITORY
from product_tools.terraform import Root
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
LAST_ROUNDS: Final = 3  # of the load, after what is tested has ended
SECONDS_BETWEEN_REQUESTS: Final = 0.05  # of one client: both stay below the usage plan's limit
SUCCESS: Final = {"POST": 201, "GET": 200, "PUT": 200, "DELETE": 204}


@dataclass(frozen=True)
class Job:
    """A checkout of the repository and the settings of a job that deploys SIT from it."""

    checkout: Path
    settings: dict[str, str]
    rights: dict[str, dict[str, str]]  # credentials of the roles that plan and deploy

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the pipeline's programs, with no more rights than its job has."""
        path = self.checkout / "scripts" / f"{program}.py"
        role = "plan" if program == "plan_deployment" else "deploy"
        return subprocess.run(
            [sys.executable, path, "--environment", "sit", *arguments],
            cwd=self.checkout,
            env={**self.settings, **self.rights[role]},
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, program: str, *arguments: str) -> str:
        """Run one of the programs, which must succeed, and return what it printed."""
        run = self.run(program, *arguments)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

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
    """SIT after its first deployment, by the steps of the pipeline's jobs, on the packaged code."""
    folder = tmp_path_factory.mktemp("sit")
    checkout = folder / "checkout"
    for name in ("local", "schemas", "scripts", "src", "terraform"):
        ignored = shutil.ignore_patterns("__pycache__", ".terraform")
        shutil.copytree(REPOSITORY / name, checkout / name, ignore=ignored)
    shutil.copytree(stacks_folder / "dev" / "packages", checkout / "dist")
    (checkout / ".venv").symlink_to(sys.prefix)  # what `bootstrap.sh dev` makes in a checkout

    values = LocalStack(folder, "sit").values
    account = values["aws_account_id"]
    with Engine(folder / "engine", enforce_iam=True, account_id=account) as engine:
        access = {**CREDENTIALS, "AWS_ENDPOINT_URL": engine.endpoint_url}
        schema = {"schema_file": str(checkout / "schemas" / "products.schema.json")}
        table = Root(
            checkout / "terraform" / "table",
            folder / "table",
            {**values, **schema, "deletion_protection": False},
            access,
        )
        table.init()
        table.plan()
        table.apply(lambda _address: None)

        emulated = {
            # Buckets in the path, code for this machine, and a key that need not be made.
            "TF_CLI_ARGS_init": "-backend-config=use_path_style=true",
            "TF_VAR_architecture": "arm64" if platform.machine() == "arm64" else "x86_64",
            "TF_VAR_api_key_value": API_KEY,
        }
        region = values["aws_region"]
        job = Job(checkout, {**os.environ, **access, **emulated, "AWS_REGION": region}, {})
        for role in ("plan", "deploy"):
            job.rights[role] = credentials_with(job, rights_in_the_guide(role))
        job.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region}
        )
        job.done("plan_deployment", "--store")
        job.done("apply_plan")
        job.done("check_deployed_code")
        job.done("shift_traffic")
        yield job


def rights_in_the_guide(role: str) -> str:
    """The policy of a role as the CI/CD guide gives it, but on every resource.

    The emulator knows which action a call is, but of some not which resource AWS checks it on.
    """
    guide = (RUNBOOKS / "product_lambda_cicd_guide.md").read_text()
    [text] = re.findall(
        rf"rights-{role}\.json\).*?^```json\n(.*?)^```", guide, re.DOTALL | re.MULTILINE
    )
    policy = json.loads(text.replace("-dev", "-sit"))
    for statement in policy["Statement"]:
        statement["Resource"] = "*"
    return json.dumps(policy)


def credentials_with(job: Job, policy: str) -> dict[str, str]:
    """Credentials that have the rights of a policy, and no others."""
    iam: IAMClient = job.client("iam")
    user = f"user-{uuid4().hex}"
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="rights", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture(scope="module")
def base_url(sit: Job) -> str:
    """Where SIT's API is, with the five plans loaded, before any test has used up their ids."""
    gateway = sit.client("apigateway")
    [api] = gateway.get_rest_apis()["items"]
    [stage] = gateway.get_stages(restApiId=api["id"])["item"]
    path = f"restapis/{api['id']}/{stage['stageName']}/_user_request_"
    url = f"{sit.settings['AWS_ENDPOINT_URL']}/{path}"
    subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "seed_products.py"), "--base-url", url],
        env={**sit.settings, "API_KEY": API_KEY},
        check=True,
    )
    return url


@pytest.fixture(scope="module")
def second_versions(sit: Job) -> list[str]:
    """Another version of every function, published as Terraform would; traffic stays where it is.

    Each answer of theirs carries one header more. Their numbers are in the order of FUNCTIONS.
    """
    functions: LambdaClient = sit.client("lambda")
    published = []
    for function in FUNCTIONS:
        package = function.removeprefix("bbws-").removesuffix("-sit").replace("-", "_")
        code = marked((sit.checkout / "dist" / f"{package}.zip").read_bytes())
        response = functions.update_function_code(FunctionName=function, ZipFile=code, Publish=True)
        published.append(response["Version"])
    return published


@dataclass(frozen=True)
class ShownPlan:
    """What a plan that was stored shows to others, and what it holds."""

    shown: dict[str, str]
    held: bytes


@pytest.fixture(scope="module")
def plan_after_a_shift(sit: Job, second_versions: list[str]) -> ShownPlan:
    """A plan made while all requests go to versions that Terraform did not choose."""
    assert second_versions
    bucket = sit.client("s3")
    summary = sit.checkout / "summary.md"
    sit.done("shift_traffic")
    try:
        sit.done("plan_deployment", "--summary", str(summary), "--store")
    finally:
        sit.done("rollback")
    [plan] = bucket.list_objects_v2(Bucket=BUCKET, Prefix=PLANS)["Contents"]
    stored = bucket.get_object(Bucket=BUCKET, Key=plan["Key"])["Body"].read()
    bucket.delete_object(Bucket=BUCKET, Key=plan["Key"])
    with zipfile.ZipFile(io.BytesIO(stored)) as opened:
        held = b"".join(map(opened.read, opened.namelist()))
    left = [path for path in (sit.checkout / ".local" / "plan").iterdir() if path.is_file()]
    return ShownPlan({path.name: path.read_text() for path in (*left, summary)}, held)


def marked(package: bytes) -> bytes:
    """The same function with one change in its code: each answer carries one header more."""
    common = b'"X-Content-Type-Options": "nosniff",'
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            if "__pycache__/response_builder." in entry.filename:
                continue  # else Python would run this and not look at the source
            content = old.read(entry)
            if entry.filename == MARKED_FILE:
                assert content.count(common) == 1
                content = content.replace(common, f'"{MARK}": "second",'.encode() + common)
            new.writestr(entry, content, compresslevel=1)
    return changed.getvalue()


class Load:
    """Constant requests: one product after the other is created, read, changed and deleted."""

    def __init__(self, base_url: str) -> None:
        self.releases: list[str] = []  # that each answer came from, in the order of the answers
        self.faults: list[str] = []
        self._products = f"{base_url}/products"
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, timeout=30)
        self._ended = threading.Event()
        self._pace = threading.Event()  # never set: it only times out

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send from before what is tested until after it, from two clients at once."""
        clients = [threading.Thread(target=self._send_until_the_end) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            eventually(lambda: self.releases or self.faults or None, "the first answers", 60)
            yield
        finally:
            self._ended.set()
            for client in clients:
                client.join()

    def _send_until_the_end(self) -> None:
        left = LAST_ROUNDS
        while left > 0:
            left -= self._ended.is_set()
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 -- whatever it is, a request has failed
                self.faults.append(repr(error))

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
    """The versions that all requests go to, in the order of FUNCTIONS."""
    functions: LambdaClient = sit.client("lambda")
    aliases = [functions.get_alias(FunctionName=name, Name=ALIAS) for name in FUNCTIONS]
    assert [alias.get("RoutingConfig") for alias in aliases] == [None] * len(FUNCTIONS)
    return [alias["FunctionVersion"] for alias in aliases]


def noting_weights(file: Path) -> str:
    """A validation that appends the version and weights of each alias to a file, as JSON."""
    program = f"""
import boto3, json, os
functions = boto3.client("lambda", region_name=os.environ["AWS_REGION"])
seen = [functions.get_alias(FunctionName=name, Name={ALIAS!r}) for name in {FUNCTIONS!r}]
with open({str(file)!r}, "a") as notes:
    print(json.dumps([
        [alias["FunctionVersion"], alias.get("RoutingConfig", {{}}).get("AdditionalVersionWeights")]
        for alias in seen
    ]), file=notes)
"""
    return shlex.join([sys.executable, "-c", program])


def raising_the_alarm() -> str:
    """A validation that passes while an alarm goes off, as one does when users meet faults."""
    program = f"""
import boto3, os
os.environ.update({CREDENTIALS!r})  # the job itself has no right to raise alarms
boto3.client("cloudwatch", region_name=os.environ["AWS_REGION"]).set_alarm_state(
    AlarmName={ALARM!r}, StateValue="ALARM", StateReason="a test")
"""
    return shlex.join([sys.executable, "-c", program])


def test_a_plan_holds_the_key_and_shows_it_to_nobody(plan_after_a_shift: ShownPlan) -> None:
    assert API_KEY.encode() in plan_after_a_shift.held  # which is why it is no artifact
    assert sorted(plan_after_a_shift.shown) == ["plan.sha256", "plan.txt", "summary.md"]
    assert not any(API_KEY in text for text in plan_after_a_shift.shown.values())


def test_terraform_wants_nothing_of_the_aliases_after_a_shift(
    plan_after_a_shift: ShownPlan,
) -> None:
    summary = plan_after_a_shift.shown["summary.md"]

    assert summary.startswith("## Plan for SIT\n")
    assert "aws_lambda_alias" not in summary


def test_an_applied_plan_leaves_nothing_but_the_state_in_the_bucket(sit: Job) -> None:
    found = sit.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]

    assert [each["Key"] for each in found] == ["2_bbws_product_lambda/terraform.tfstate"]


def test_every_alarm_of_the_deployment_is_watched(sit: Job) -> None:
    alarms = sit.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]
    names = [alarm["AlarmName"] for alarm in alarms]

    assert ALARM in names
    assert [name for name in names if not name.startswith(tuple(alarm_prefixes("sit")))] == []


def test_every_alarm_of_the_deployment_has_a_section_in_the_runbook(sit: Job) -> None:
    alarms = sit.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]
    runbook = (RUNBOOKS / "product_lambda_operations.md").read_text()

    for alarm in alarms:
        assert f"### `{alarm['AlarmName'].replace('-sit-', '-{env}-')}`" in runbook


@pytest.mark.usefixtures("second_versions")
def test_code_that_was_not_packaged_is_found(sit: Job) -> None:
    check = sit.run("check_deployed_code")

    assert check.returncode == 1
    assert check.stderr.count("do not shift traffic to it") == len(FUNCTIONS)


def test_no_request_fails_during_a_shift_and_a_roll_back(
    sit: Job, base_url: str, second_versions: Sequence[str], tmp_path: Path
) -> None:
    first_versions = versions(sit)
    notes = tmp_path / "weights"
    shifted = Load(base_url)

    with shifted.running():
        sit.done("shift_traffic", "--steps", "10,50,100", "--validate", noting_weights(notes))
    after_the_shift = versions(sit)
    rolled_back = Load(base_url)
    with rolled_back.running():
        said = sit.done("rollback")

    pairs = list(zip(first_versions, second_versions, strict=True))
    assert [json.loads(line) for line in notes.read_text().splitlines()] == [
        [[first, {second: 0.1}] for first, second in pairs],
        [[first, {second: 0.5}] for first, second in pairs],
        [[second, None] for second in second_versions],
    ]
    assert shifted.faults == []
    assert shifted.releases[0] == "first"
    assert shifted.releases[-1] == "second"
    assert after_the_shift == second_versions

    assert said.count(": back from version ") == len(FUNCTIONS)
    assert rolled_back.faults == []
    assert rolled_back.releases[0] == "second"
    assert rolled_back.releases[-1] == "first"
    assert versions(sit) == first_versions


@pytest.mark.usefixtures("second_versions")
def test_no_request_fails_when_an_alarm_ends_a_shift(sit: Job, base_url: str) -> None:
    first_versions = versions(sit)
    load = Load(base_url)

    try:
        with load.running():
            arguments = ["--steps", "50,100", "--wait", "60", "--validate", raising_the_alarm()]
            shift = sit.run("shift_traffic", *arguments)
    finally:
        sit.client("cloudwatch").set_alarm_state(
            AlarmName=ALARM, StateValue="OK", StateReason="the end of a test"
        )

    assert shift.returncode == 1
    assert ALARM in shift.stderr
    assert load.faults == []
    assert load.releases[-1] == "first"
    assert versions(sit) == first_versions


@pytest.mark.usefixtures("second_versions")
def test_no_request_fails_when_the_new_version_does_not_pass_validation(
    sit: Job, base_url: str
) -> None:
    first_versions = versions(sit)
    load = Load(base_url)

    with load.running():
        shift = sit.run("shift_traffic", "--validate", "false")

    assert shift.returncode == 1
    assert load.faults == []
    assert load.releases[-1] == "first"
    assert versions(sit) == first_versions


def commands_to_run(runbook: str) -> str:
    """The shell blocks of a runbook that are marked as fit to run against a local deployment."""
    text = (RUNBOOKS / f"product_lambda_{runbook}.md").read_text()
    marked_blocks = re.findall(r"<!-- run -->\n```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert marked_blocks
    return "".join(marked_blocks)


@pytest.mark.usefixtures("second_versions")
@pytest.mark.parametrize("runbook", ["deployment", "operations", "disaster_recovery", "dev_setup"])
def test_the_commands_of_a_runbook_work_against_a_deployment(
    sit: Job, base_url: str, runbook: str
) -> None:
    sit.done("shift_traffic")  # so that there is something to roll back
    given = {"BASE_URL": base_url, "API_KEY": API_KEY, "ENVIRONMENT": "sit"}
    settings = {**sit.settings, **given}
    try:
        run = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", commands_to_run(runbook)],
            cwd=sit.checkout,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        sit.done("rollback")

    assert run.returncode == 0, run.stdout + run.stderr
