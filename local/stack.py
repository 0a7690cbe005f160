"""The deployed stack on this machine: a local AWS with the Terraform roots applied to it.

It applies the tracked Terraform files, and keeps the state of the service as they say, in a bucket.
So the commands of the pipelines and runbooks work on this stack, too. Only the state of the table,
the architecture, the value of the API key and the deletion of the audit trail's bucket are local.
It never connects to a real account.
"""

import contextlib
import itertools
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from local.engine import CREDENTIALS, Engine, running_engine, stop_engine
from local.errors import LocalError
from local.state_files import StateFolder, write_file
from product_tools.aliases import AliasError, Aliases
from product_tools.environment_files import state_location, values
from product_tools.functions import function_names
from product_tools.packages import build
from product_tools.repository import REPOSITORY
from product_tools.terraform import (
    TERRAFORM_FOLDER,
    Change,
    EnvironmentFiles,
    LocalRoot,
    TerraformError,
)
from product_tools.traffic import (
    ALL,
    Alarms,
    Schedule,
    Shift,
    ShiftError,
    StopRequest,
    alarm_prefixes,
    carry_out,
)

FEATURES: Mapping[str, str] = {
    "change_events": "enable_change_events",
    "audit_log": "enable_audit_log",
    "async_writes": "enable_async_writes",
    "opensearch": "enable_opensearch",
    "edge_cache": "enable_cloudfront_cache",
}
"""The optional features of a deployment, with the Terraform variable that switches each on."""

# Features that need the stream of the table.
_WITH_STREAM = {"change_events", "audit_log", "edge_cache", "opensearch"}
# Values that are the same on every stack. The engine speaks HTTP, so nothing may require TLS.
_LOCAL_VALUES = {"enable_product_indexes": True, "require_tls": False}
# A feature that is switched off takes its bucket with it.
_LOCAL_BUCKET = """resource "aws_s3_bucket" "audit" {
  force_destroy = true

  lifecycle {
    prevent_destroy = false
  }
}
"""
_SCHEMA = {"schema_file": str(REPOSITORY / "schemas" / "products.schema.json")}

MISREPORTED = frozenset(
    {
        ("aws_api_gateway_usage_plan", "quota_settings"),
        ("aws_cloudwatch_metric_alarm", "actions_enabled"),
        ("aws_cloudwatch_metric_alarm", "alarm_actions"),
        ("aws_cloudwatch_metric_alarm", "alarm_description"),
        ("aws_cloudwatch_metric_alarm", "dimensions"),
        ("aws_cloudwatch_metric_alarm", "evaluate_low_sample_count_percentiles"),
        ("aws_cloudwatch_metric_alarm", "extended_statistic"),
        ("aws_cloudwatch_metric_alarm", "ok_actions"),
        ("aws_cloudwatch_metric_alarm", "period"),
        ("aws_cloudwatch_metric_alarm", "statistic"),
        ("aws_cloudwatch_metric_alarm", "treat_missing_data"),
    }
)
"""Types and attributes that the emulator stores but does not return, so that each plan has them."""

type Report = Callable[[str], None]


class LocalStackError(LocalError):
    """The stack cannot be deployed."""


def features_from(text: str) -> frozenset[str]:
    """Parse names of features with commas between them; `all` means every feature.

    Raises:
        LocalStackError: a name is unknown.
    """
    names = {name.strip() for name in text.split(",")} - {""}
    if names == {"all"}:
        return frozenset(FEATURES)
    if unknown := sorted(names - FEATURES.keys()):
        raise LocalStackError(
            f"There is no feature {', '.join(unknown)}: give {', '.join(FEATURES)}, or all."
        )
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Deployment:
    """How to reach a deployed stack.

    Attributes:
        base_url: the URL of its API without /products.
        api_key: the API key for writes.
        endpoint_url: the URL of its AWS.
        region: the region of the environment.
        environment: dev, sit or prod.
        features: the optional features that are switched on, in the order of their names.
        changed: whether the deployment changed anything.
    """

    base_url: str
    api_key: str
    endpoint_url: str
    region: str
    environment: str
    features: tuple[str, ...]
    changed: bool


class LocalStack:
    """The stack of one environment, with the state of its engine and of Terraform in one folder.

    Args:
        folder: the folder; it is created when missing, and only the user can read it.
        environment: dev, sit or prod; its values are deployed.
        variables: Terraform variables that differ from the environment's file.
        packages: the folder of the functions' zips; by default they are built into `folder`.
        features: the optional features that are switched on, by the names in `FEATURES`.

    Attributes:
        engine_folder: the folder of the engine.
        backend_file: where the state of the service is; None keeps it in `folder`.
        values: the environment's values that the engine and both roots share.
        provider_settings: environment variables of Terraform's provider that differ from the
            defaults, such as the credentials of a role instead of those of the account's root.
    """

    def __init__(
        self,
        folder: Path,
        environment: str = "dev",
        *,
        variables: Mapping[str, object] | None = None,
        packages: Path | None = None,
        features: Collection[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.environment = environment
        self.features = tuple(sorted(features))
        self.variables = dict(variables or {})
        self.engine_folder = self.folder / "engine"
        self.backend_file: Path | None = _environment_file(environment, "s3.tfbackend")
        self.provider_settings: Mapping[str, str] = {}
        self.values = _values_of(environment)
        self._packages = packages
        self._unfinished = self.folder / "unfinished"
        self._started: Engine | None = None

    @property
    def endpoint_url(self) -> str:
        """The endpoint URL of the engine.

        Raises:
            LocalStackError: the engine does not run.
        """
        running = running_engine(self.engine_folder)
        if running is None:
            raise LocalStackError(f"The local AWS of {self.folder} does not run: deploy again.")
        return running.endpoint_url

    def deploy(self, report: Report) -> Deployment:
        """Deploy the current files and code, and return how to reach the stack.

        Args:
            report: called with a short line at each step.

        Raises:
            LocalError, TerraformError, PackagingError: a step fails.
        """
        if self._packages is None:
            report("Packaging the functions")
            build(architecture(), self.folder / "packages")
        self._reset_after_interruption(report)
        self._start_engine(report)
        changed = self.apply(report)
        moved = self.shift_aliases(report)
        outputs = self.main_root().outputs()
        path = f"/restapis/{outputs['api_id']}/{outputs['stage_name']}/_user_request_"
        return Deployment(
            self.endpoint_url + path,
            outputs["api_key"],
            self.endpoint_url,
            self.values["aws_region"],
            self.environment,
            self.features,
            changed or moved,
        )

    def apply(self, report: Report) -> bool:
        """Apply both roots to the running engine, and return whether there were changes."""
        self._unfinished.touch()
        try:
            self._create_state_bucket()
            table_changed = self._apply(self.table_root(), "the table", report)
            return self._apply(self.main_root(), "the service", report) or table_changed
        except TerraformError as error:
            if running_engine(self.engine_folder) is None:
                raise LocalStackError(
                    "The local AWS stopped during the deployment: "
                    "run the same command again, which starts from nothing."
                ) from error
            raise
        finally:
            # Terraform has written its state. It fits the engine as long as the engine runs.
            if running_engine(self.engine_folder) is not None:
                self._unfinished.unlink()

    def shift_aliases(self, report: Report) -> bool:
        """Send all requests to the newest versions, with the records that a roll-back needs.

        An interrupted shift is continued by the next one. Alarms that fire already are ignored.

        Returns:
            Whether an alias changed.

        Raises:
            LocalStackError: the shift has stopped.
        """
        try:
            shift = Shift(Aliases(self.client("lambda")), function_names(self.environment))
            if not shift.functions:
                return False
            report("Shifting traffic to the new versions")
            alarms = Alarms(self.client("cloudwatch"), alarm_prefixes(self.environment))
            alarms.tolerate(alarms.firing())
            carry_out(shift, alarms, Schedule([ALL]), StopRequest())
        except (AliasError, ShiftError) as error:
            raise LocalStackError(str(error)) from error
        return True

    def destroy(self) -> bool:
        """Stop the engine with all its processes and delete the folder.

        Returns:
            Whether there was an engine or a folder.
        """
        stopped = self._stop_engine()
        existed = self.folder.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        return stopped or existed

    def client(self, service: Any) -> Any:  # noqa: ANN401 (boto3 makes a type for each service)
        """Return a client of the deployed stack with the permissions of the account's root."""
        return boto3.client(
            service,
            region_name=self.values["aws_region"],
            endpoint_url=self.endpoint_url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def table_root(self) -> LocalRoot:
        """Return the root module of the table."""
        return LocalRoot(
            TERRAFORM_FOLDER / "table",
            self.folder / "terraform" / "table",
            {
                **self.values,
                **_SCHEMA,
                "enable_product_indexes": _LOCAL_VALUES["enable_product_indexes"],
                "enable_stream": not _WITH_STREAM.isdisjoint(self.features),
                "deletion_protection": False,
            },
            self._provider_environment(),
        )

    def main_root(self) -> LocalRoot:
        """Return the root module of the service."""
        self._link_packages()
        root = LocalRoot(
            TERRAFORM_FOLDER,
            self.folder / "terraform" / "main",
            {**_SCHEMA, **self.local_values(), **self.variables},
            self._provider_environment(),
            EnvironmentFiles(_environment_file(self.environment, "tfvars"), self.backend_file),
        )
        (root.folder / "bucket_override.tf").write_text(_LOCAL_BUCKET)
        return root

    def local_values(self) -> dict[str, object]:
        """Return the values that every plan on this stack needs, by the name of the variable."""
        return {
            "architecture": architecture(),
            "api_key_values": {"admin": self._api_key()},
            **_LOCAL_VALUES,
            **{variable: name in self.features for name, variable in FEATURES.items()},
            **self._search_values(),
        }

    def _search_values(self) -> dict[str, object]:
        """Return the values of the search index, which needs a server that the engine lacks.

        Without one in PRODUCT_OPENSEARCH_URL, the changes stay in the queue.
        """
        if "opensearch" not in self.features:
            return {}
        url = os.environ.get("PRODUCT_OPENSEARCH_URL")
        region, account = self.values["aws_region"], self.values["aws_account_id"]
        return {
            "opensearch_endpoint": url or "http://127.0.0.1:9200",
            "opensearch_domain_arn": f"arn:aws:es:{region}:{account}:domain/local",
            "pause_search_index": url is None,
        }

    def _provider_environment(self) -> dict[str, str]:
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_MAX_ATTEMPTS": "3",  # few, since an engine that does not respond at once has ended
            **self.provider_settings,
        }

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
        with contextlib.suppress(LocalError):  # its state is deleted next
            self._started.stop()
        self._started = None
        return True

    def _reset_after_interruption(self, report: Report) -> None:
        """Start from nothing if the state of the engine and Terraform's state may differ.

        This engine saves its state only at a stop. A killed engine has lost resources that are in
        Terraform's state; a killed Terraform has not recorded all resources that it created.
        """
        lost = (
            running_engine(self.engine_folder) is None
            and StateFolder(self.engine_folder / "state").has_unsaved_changes
        )
        if not lost and not self._unfinished.exists():
            return
        report("The last deployment or its engine was interrupted: starting from nothing")
        self._stop_engine()
        shutil.rmtree(self.engine_folder, ignore_errors=True)
        shutil.rmtree(self.folder / "terraform", ignore_errors=True)
        self._unfinished.unlink(missing_ok=True)

    def _apply(self, root: LocalRoot, subject: str, report: Report) -> bool:
        report(f"Planning {subject}")
        root.init()
        changes = root.plan()
        if root.has_applied_these_files() and all(map(_is_misreported, changes)):
            return False
        finished = itertools.count(1)
        root.apply(
            lambda address: report(
                f"Deploying {subject}: {next(finished)} of {len(changes)} ({address})"
            )
        )
        return True

    def _create_state_bucket(self) -> None:
        client = self.client("s3")
        state = state_location(self.environment)
        if state.bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
            client.create_bucket(
                Bucket=state.bucket,
                CreateBucketConfiguration={"LocationConstraint": self.values["aws_region"]},
            )
            versions = {"Status": "Enabled"}
            client.put_bucket_versioning(Bucket=state.bucket, VersioningConfiguration=versions)

    def _link_packages(self) -> None:
        """Make the zips ../dist for the copy of the root, so that its plans agree with others."""
        packages = (self._packages or self.folder / "packages").resolve()
        link = self.folder / "terraform" / "dist"
        if link.resolve() != packages:
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(packages)

    def _api_key(self) -> str:
        """Return the stored API key, or create it, since the emulator cannot."""
        file = self.folder / "api_key"
        if not file.exists() or not file.read_text():  # an earlier version left an empty file
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(file, secrets.token_hex(20).encode())
        return file.read_text()


def _is_misreported(change: Change) -> bool:
    """Return whether a planned change consists only of attributes that the emulator misreports."""
    return change.actions == ("update",) and all(
        (change.kind, attribute) in MISREPORTED for attribute in change.attributes
    )


def _environment_file(environment: str, ending: str) -> Path:
    return TERRAFORM_FOLDER / "environments" / f"{environment}.{ending}"


def _values_of(environment: str) -> dict[str, str]:
    """Return the values that the engine and the table's root share with the environment."""
    shared = values(environment)
    return {name: shared[name] for name in ("environment", "aws_account_id", "aws_region")}


def architecture() -> str:
    """Return the architecture of this machine, and so of the functions on it."""
    return "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
