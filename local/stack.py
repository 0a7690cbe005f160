"""The deployed stack on this machine: a local AWS with the Terraform roots applied to it.

It deploys the tracked Terraform files as they are; only the state's place, the packages' folder and
the API key's value are its own. It never talks to a real account.
"""

import contextlib
import fcntl
import itertools
import json
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local.engine import CREDENTIALS, Engine, running_engine, stop_engine
from product_tools.packages import build
from product_tools.repository import REPOSITORY
from product_tools.terraform import Change, Root, TerraformError

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

TERRAFORM = REPOSITORY / "terraform"
_SCHEMA = {"schema_file": str(REPOSITORY / "schemas" / "products.schema.json")}

MISREPORTED = frozenset(
    {
        ("aws_api_gateway_usage_plan", "quota_settings"),
        ("aws_cloudwatch_metric_alarm", "actions_enabled"),
        ("aws_cloudwatch_metric_alarm", "alarm_actions"),
        ("aws_cloudwatch_metric_alarm", "alarm_description"),
        ("aws_cloudwatch_metric_alarm", "dimensions"),
        ("aws_cloudwatch_metric_alarm", "extended_statistic"),
        ("aws_cloudwatch_metric_alarm", "ok_actions"),
        ("aws_cloudwatch_metric_alarm", "period"),
        ("aws_cloudwatch_metric_alarm", "statistic"),
        ("aws_cloudwatch_metric_alarm", "treat_missing_data"),
    }
)
"""Type and attribute of what the emulator keeps but does not tell the provider: in every plan."""

type Report = Callable[[str], None]


class LocalStackError(Exception):
    """The stack cannot be deployed; the text is a sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """How to reach a deployed stack, and whether deploying it changed anything."""

    base_url: str
    api_key: str
    changed: bool


class LocalStack:
    """One environment's stack; `folder` holds everything of it: the engine's state and Terraform's.

    Args:
        folder: Where it lives; made when missing, private to the user.
        environment: dev, sit or prod: whose values it is deployed with.
        variables: Terraform variables that differ from the environment's file.
        packages: Where the functions' zips are; by default they are built into `folder`.
    """

    def __init__(
        self,
        folder: Path,
        environment: str = "dev",
        *,
        variables: Mapping[str, object] | None = None,
        packages: Path | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.environment = environment
        self.variables = dict(variables or {})
        self.engine_folder = self.folder / "engine"
        self.values = _values_of(environment)
        self._packages = packages
        self._unfinished = self.folder / "unfinished"
        self._started: Engine | None = None

    @property
    def endpoint_url(self) -> str:
        """Where the engine listens.

        Raises:
            LocalStackError: It does not run.
        """
        running = running_engine(self.engine_folder)
        if running is None:
            raise LocalStackError(f"The local AWS of {self.folder} does not run: deploy again.")
        return running.endpoint_url

    def deploy(self, report: Report) -> Deployment:
        """Bring the stack to what the files and the code say, and return how to reach it.

        `report` hears what is being done, in short lines.

        Raises:
            LocalStackError, LocalError, TerraformError, PackagingError: a sentence for the user.
        """
        if self._packages is None:
            report("Packaging the functions")
            build(_architecture(), self.folder / "packages")
        self._forget_what_was_interrupted(report)
        self._start_engine(report)
        changed = self.apply(report)
        moved = self.shift_aliases(report)
        outputs = self.main_root().outputs()
        path = f"/restapis/{outputs['api_id']}/{outputs['stage_name']}/_user_request_"
        return Deployment(self.endpoint_url + path, outputs["api_key"], changed or moved)

    def apply(self, report: Report) -> bool:
        """Apply both roots to the running engine, and tell whether anything was to be changed."""
        self._unfinished.touch()
        try:
            made = self._apply(self.table_root(), "the table", report)
            return self._apply(self.main_root(), "the service", report) or made
        except TerraformError as error:
            if running_engine(self.engine_folder) is None:
                raise LocalStackError(
                    "The local AWS stopped in the middle of the deployment: "
                    "run the same command again, which then starts from nothing."
                ) from error
            raise
        finally:
            # Terraform has written its state; it fits the engine unless that is gone.
            if running_engine(self.engine_folder) is not None:
                self._unfinished.unlink()

    def shift_aliases(self, report: Report) -> bool:
        """Point each alias at the version last published, which Terraform leaves to others.

        Returns:
            Whether any pointed elsewhere.
        """
        client: LambdaClient = self.client("lambda")
        moved = False
        for function in self.main_root().outputs()["functions"].values():
            name, alias, version = function["name"], function["alias"], function["version"]
            current = client.get_alias(FunctionName=name, Name=alias)["FunctionVersion"]
            if current != version:
                report(f"Shifting {name} from version {current} to {version}")
                client.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)
                moved = True
        return moved

    def destroy(self) -> bool:
        """Stop the engine with all its processes, delete the folder; tell whether there was one."""
        stopped = self._stop_engine()
        existed = self.folder.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        return stopped or existed

    def client(self, service: Any) -> Any:  # noqa: ANN401 (boto3 makes a type for each service)
        """A client of the deployed stack, with the rights of its account's root."""
        return boto3.client(
            service,
            region_name=self.values["aws_region"],
            endpoint_url=self.endpoint_url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def table_root(self) -> Root:
        """The root that creates the table."""
        return Root(
            TERRAFORM / "table",
            self.folder / "terraform" / "table",
            {**self.values, **_SCHEMA, "deletion_protection": False},
            self._access(),
        )

    def main_root(self) -> Root:
        """The root of the service."""
        packages = self._packages or self.folder / "packages"
        return Root(
            TERRAFORM,
            self.folder / "terraform" / "main",
            {
                **_SCHEMA,
                "package_dir": str(packages),
                "architecture": _architecture(),
                "api_key_value": self._api_key(),
                **self.variables,
            },
            self._access(),
            var_file=_var_file(self.environment),
        )

    def _access(self) -> dict[str, str]:
        # Few attempts: an engine that does not answer at once is gone.
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint_url, "AWS_MAX_ATTEMPTS": "3"}

    def _start_engine(self, report: Report) -> None:
        if running_engine(self.engine_folder) is not None:
            return
        report("Starting the local AWS")
        self._started = Engine(
            self.engine_folder,
            enforce_iam=True,
            account_id=self.values["aws_account_id"],
            outlives_parent=True,
        )
        self._started.start()

    def _stop_engine(self) -> bool:
        if self._started is None:
            return stop_engine(self.engine_folder)
        self._started.stop()
        self._started = None
        return True

    def _forget_what_was_interrupted(self, report: Report) -> None:
        """Start from nothing where the engine and Terraform's state cannot be in step.

        The engine writes its state only when it is told to stop. Killed, it has lost what Terraform
        believes to be there; and a Terraform that was killed does not know what it has made.
        """
        lost = (
            self.engine_folder.exists()
            and running_engine(self.engine_folder) is None
            and not self._engine_saved_its_state()
        )
        if not lost and not self._unfinished.exists():
            return
        report("The last deployment or its engine was interrupted: starting from nothing")
        self._stop_engine()
        shutil.rmtree(self.engine_folder, ignore_errors=True)
        shutil.rmtree(self.folder / "terraform", ignore_errors=True)
        self._unfinished.unlink(missing_ok=True)

    def _engine_saved_its_state(self) -> bool:
        started = (self.engine_folder / "engine.lock").stat().st_mtime
        saved = (path.stat().st_mtime for path in (self.engine_folder / "state").glob("*.json"))
        return max(saved, default=0.0) > started

    def _apply(self, root: Root, what: str, report: Report) -> bool:
        report(f"Planning {what}")
        root.init()
        changes = root.plan()
        if root.has_applied_these_files() and all(map(misreported, changes)):
            return False
        finished = itertools.count(1)
        root.apply(
            lambda address: report(
                f"Deploying {what}: {next(finished)} of {len(changes)} ({address})"
            )
        )
        return True

    def _api_key(self) -> str:
        """The key for writes, the same at each deployment; the emulator cannot make one."""
        kept = self.folder / "api_key"
        if not kept.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(secrets.token_hex(20))
        return kept.read_text()


@contextlib.contextmanager
def one_run_at_a_time(lock_file: Path) -> Iterator[None]:
    """Keep a second run off what this one works on.

    Raises:
        LocalStackError: Another run holds the lock.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalStackError(
                "Another run works on the same deployment: wait until it has ended, then try again."
            ) from None
        yield


def write_description(deployment: Deployment, path: Path) -> None:
    """Write where the API is and its key, as JSON that only the user can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    described = {"baseUrl": deployment.base_url, "apiKey": deployment.api_key}
    path.write_text(json.dumps(described, indent=2) + "\n")


def misreported(change: Change) -> bool:
    """Whether a planned change is only what the emulator is known not to tell."""
    return change.actions == ("update",) and all(
        (change.kind, attribute) in MISREPORTED for attribute in change.attributes
    )


def _var_file(environment: str) -> Path:
    return TERRAFORM / "environments" / f"{environment}.tfvars"


def _values_of(environment: str) -> dict[str, str]:
    """The values of an environment that the engine and the table's root must agree with."""
    wanted = ("environment", "aws_account_id", "aws_region")
    lines = _var_file(environment).read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    values = {name.strip(): value.strip().strip('"') for name, value in pairs}
    return {name: values[name] for name in wanted}


def _architecture() -> str:
    return "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
