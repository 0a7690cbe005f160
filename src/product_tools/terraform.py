"""Runs Terraform: on a copy of a root module with a local state, or on an environment's state.

It knows Terraform's commands and their output. It knows no resource and no emulator.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from product_tools.repository import REPOSITORY

TERRAFORM_FOLDER = REPOSITORY / "terraform"
PLAN_FOLDER = REPOSITORY / ".local" / "plan"
OLDEST_VERSION = (1, 11)  # the first version whose S3 backend locks without a table

QUICK_SETTINGS = {
    # Terraform and its provider live for seconds. Without garbage collection up to this size, a
    # plan takes a quarter less processor time.
    "GOGC": "off",
    "GOMEMLIMIT": "600MiB",
}
"""Environment variables for Terraform on an emulator."""

_PLUGIN_CACHE = REPOSITORY / ".local" / "terraform-plugins"
_INSTALL = "install Terraform 1.11 or newer (developer.hashicorp.com/terraform/install)"
_ADVICE = {
    "apply": "then plan and apply again; if a version of a function has failed, see 'A version that"
    " has failed' in the deployment runbook",
}
_TEMPLATE_FOLDERS = ("policies", "templates")
_LOCAL_BACKEND = 'terraform {\n  backend "local" {\n    path = "terraform.tfstate"\n  }\n}\n'
# A local run takes only these from its caller. Others, such as AWS_PROFILE, TF_WORKSPACE or
# TF_VAR_*, could lead it to a real account.
_INHERITED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TF_CLI_CONFIG_FILE",
)


class TerraformError(Exception):
    """Terraform fails; the text is a sentence with the reason and the next step."""


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change of one resource.

    Attributes:
        address: the resource, for example ``aws_lambda_function.function["get_product"]``.
        kind: the type of the resource, for example ``aws_lambda_function``.
        actions: ``("create",)``, ``("update",)``, ``("delete", "create")`` and so on.
        attributes: the names of the attributes that change; none for a creation.
    """

    address: str
    kind: str
    actions: tuple[str, ...]
    attributes: frozenset[str] = field(default_factory=frozenset)


def find_terraform() -> str:
    """Return the path of the Terraform program.

    Raises:
        TerraformError: the program is missing or too old.
    """
    program = shutil.which("terraform")
    if program is None:
        raise TerraformError(f"Terraform was not found: {_INSTALL}, then try again.")
    completed = subprocess.run(
        [program, "version", "-json"],
        capture_output=True,
        text=True,
        check=False,
        env=_terraform_environment(_inherited()),
    )
    try:
        version = str(json.loads(completed.stdout)["terraform_version"])
    except (ValueError, KeyError):
        raise TerraformError(f"{program} does not report its version: {_INSTALL}.") from None
    if (
        tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2])
        < OLDEST_VERSION
    ):
        raise TerraformError(f"Terraform {version} is too old: {_INSTALL}.")
    return program


class _Program:
    """The Terraform program in one working directory, with one set of environment variables.

    Raises:
        TerraformError: the program is missing or too old.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._path = find_terraform()
        self._folder = folder
        self._environment = _terraform_environment(environment)

    @contextlib.contextmanager
    def running(
        self, arguments: Iterable[str], *, stdout: int | None, stderr: int | None
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command; on Ctrl-C, wait for its end."""
        with subprocess.Popen(
            [self._path, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            umask=0o077,  # plans and states hold secrets
        ) as process:
            try:
                yield process
            except KeyboardInterrupt:
                # Terraform gets the signal too, and writes its state before it ends.
                process.communicate()
                raise


class EnvironmentFiles(NamedTuple):
    """Files of an environment for a local root.

    Attributes:
        values: values of variables.
        backend: settings of the root's own backend in S3, whose bucket must exist on the emulator;
            without it the state is a file.
    """

    values: Path | None = None
    backend: Path | None = None


class LocalRoot:
    """A copy of a root module in a folder, with its own plan, and with its own state by default.

    Args:
        source: the tracked folder of the root module; it is only read.
        folder: the folder of the copy. It is created when missing, and only the user can read it,
            since a state holds secrets.
        variables: values by name; they override those of `var_file`.
        environment: environment variables for the provider.
        files: further files; by default there are no other values, and the state is in `folder`.

    Raises:
        TerraformError: Terraform fails, in any method; `folder/terraform.log` holds its output.
    """

    def __init__(
        self,
        source: Path,
        folder: Path,
        variables: Mapping[str, object],
        environment: Mapping[str, str],
        files: EnvironmentFiles | None = None,
    ) -> None:
        self.folder = folder
        self._files = files or EnvironmentFiles()
        self._program = _Program(folder, {**_isolated_environment(), **environment})
        self._log = folder / "terraform.log"
        self._plan = folder / "planned.tfplan"
        self._lock = folder / ".terraform.lock.hcl"
        self._initialised = folder / "initialised"
        self._applied = folder / "applied.sha256"
        self._copy_files(source, variables)

    def init(self) -> None:
        """Install the provider once: from TF_PLUGIN_DIR where it is set, else from the registry."""
        backend: list[str] = []
        if self._files.backend is not None:
            # A state that an earlier version kept in a file moves into the bucket.
            backend = ["-migrate-state", "-force-copy"]
            # A few attempts only, since an emulator that does not respond soon has ended.
            settings = (str(self._files.backend), "use_path_style=true", "max_retries=3")
            backend += [f"-backend-config={setting}" for setting in settings]
        initialised = "\n".join([self._lock.read_text(), *backend])
        if self._initialised.exists() and self._initialised.read_text() == initialised:
            return
        failure = (
            "Terraform's AWS provider could not be installed: check the network, or set "
            f"TF_PLUGIN_DIR to a folder that mirrors it (the details are in {self._log})."
        )
        self._output_of(_init_command("-no-color", *backend), failure)
        self._initialised.write_text(initialised)

    def plan(self) -> list[Change]:
        """Plan, keep the plan for `apply`, and return its changes."""
        planned: list[Mapping[str, Any]] = []

        def note(event: Mapping[str, Any]) -> None:
            if event.get("type") == "planned_change" and event["change"]["action"] != "read":
                planned.append(event["change"])

        self._run_with_events(["plan", "-input=false", "-json", f"-out={self._plan}"], note)
        if all(change["action"] == "create" for change in planned):
            # `show` would add no more, and it loads the provider once again.
            return [
                Change(change["resource"]["addr"], change["resource"]["resource_type"], ("create",))
                for change in planned
            ]
        failure = f"Terraform cannot read its own plan: see the end of {self._log}."
        shown = self._output_of(["show", "-json", str(self._plan)], failure)
        return [
            _change(entry)
            for entry in json.loads(shown).get("resource_changes", [])
            if entry["mode"] == "managed"
            and entry["change"]["actions"] not in (["no-op"], ["read"])
        ]

    def apply(self, report_resource: Callable[[str], None]) -> None:
        """Apply the last plan, and report the address of each resource when it is finished."""

        def note(event: Mapping[str, Any]) -> None:
            if event.get("type") == "apply_complete" and event["hook"]["action"] != "read":
                report_resource(event["hook"]["resource"]["addr"])

        self._run_with_events(["apply", "-input=false", "-json", str(self._plan)], note)
        self._applied.write_text(self._fingerprint())

    def has_applied_these_files(self) -> bool:
        """Return whether the last complete apply used the same files and values."""
        return self._applied.exists() and self._applied.read_text() == self._fingerprint()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs by name, including the sensitive ones."""
        failure = f"Terraform cannot read its state: see the end of {self._log}."
        shown = self._output_of(["output", "-json"], failure)
        return {name: output["value"] for name, output in json.loads(shown).items()}

    def _copy_files(self, source: Path, variables: Mapping[str, object]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in (*self.folder.glob("*.tf"), *self.folder.glob("*.auto.tfvars*")):
            old.unlink()
        for entry in (*source.glob("*.tf"), source / ".terraform.lock.hcl"):
            shutil.copyfile(entry, self.folder / entry.name)
        for folder in _TEMPLATE_FOLDERS:
            if (source / folder).is_dir():
                shutil.copytree(source / folder, self.folder / folder, dirs_exist_ok=True)
        if self._files.backend is None:
            (self.folder / "backend_override.tf").write_text(_LOCAL_BACKEND)
        # Terraform reads these files in the order of their names, and the later value wins.
        if self._files.values is not None:
            shutil.copyfile(self._files.values, self.folder / "1.auto.tfvars")
        values = self.folder / "2.auto.tfvars.json"
        values.touch(mode=0o600)
        values.write_text(json.dumps(variables))

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        files = [path for path in self.folder.glob("*.tf*") if "tfplan" not in path.name]
        files = [path for path in files if "tfstate" not in path.name]
        for folder in _TEMPLATE_FOLDERS:
            files += (self.folder / folder).glob("*")
        for path in sorted([*files, *self.folder.glob("*.auto.*")]):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def _output_of(self, arguments: list[str], failure: str) -> str:
        """Run a command and return its output.

        Raises:
            TerraformError: the command fails; the text is `failure`.
        """
        pipe = subprocess.PIPE
        with self._program.running(arguments, stdout=pipe, stderr=pipe) as process:
            stdout, stderr = process.communicate()
        if process.returncode:
            with self._log.open("a") as log:
                log.write(stdout + stderr)
            raise TerraformError(failure)
        return stdout

    def _run_with_events(
        self, arguments: list[str], note: Callable[[Mapping[str, Any]], None] = lambda _: None
    ) -> None:
        """Run a command that writes its progress as JSON lines, and pass each on to `note`.

        Raises:
            TerraformError: the command fails; the text holds its first error.
        """
        errors: list[str] = []
        with (
            self._log.open("w") as log,
            self._program.running(
                arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            for event in _events(process.stdout, log):
                note(event)
                if event.get("@level") == "error":
                    errors.append(_error_text(event))
        if process.returncode:
            reason = errors[0] if errors else "it gave no reason"
            raise TerraformError(f"Terraform stopped: {reason} (the details are in {self._log}).")


class RemoteRoot:
    """The service's root module on the remote state of an environment.

    Its commands write to the terminal. They take credentials, a profile and TF_VAR_* from the
    caller's environment variables. An empty TF_VAR_* counts as unset, since GitHub passes a
    variable that nobody has set as an empty text.

    Args:
        environment: the name of the environment, as in the files of terraform/environments.

    Attributes:
        plan_file: the plan. It holds the state, and so the API key.
        text_file: the plan as text, without sensitive values.
        checksum_file: the SHA-256 of the plan.

    Raises:
        TerraformError: Terraform fails, in any method.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        PLAN_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.plan_file = PLAN_FOLDER / f"{environment}.tfplan"
        self.text_file = PLAN_FOLDER / "plan.txt"
        self.checksum_file = PLAN_FOLDER / "plan.sha256"
        given = {
            name: value for name, value in os.environ.items() if value or name[:7] != "TF_VAR_"
        }
        self._program = _Program(
            TERRAFORM_FOLDER, {**given, "TF_DATA_DIR": str(PLAN_FOLDER / "terraform")}
        )

    def init(self) -> None:
        """Install the provider and connect to the state."""
        backend = f"-backend-config=environments/{self._environment}.s3.tfbackend"
        self._run(*_init_command("-reconfigure", backend))

    def validate(self) -> None:
        """Check the files against the provider's schema."""
        self._run("validate")

    def plan(self) -> None:
        """Plan, and write the plan to `plan_file`.

        The state is not locked, since a plan writes nothing to it. Terraform rejects the plan at
        its apply when the state has changed since.
        """
        files = [
            f"-var-file={file.relative_to(TERRAFORM_FOLDER)}"
            for file in value_files(TERRAFORM_FOLDER, self._environment)
        ]
        self._run("plan", "-input=false", "-lock=false", *files, f"-out={self.plan_file}")

    def apply(self) -> None:
        """Apply the plan in `plan_file`."""
        self._run("apply", "-input=false", "-lock-timeout=5m", str(self.plan_file))

    def plan_as_text(self) -> str:
        """Return the plan as text for people; Terraform leaves sensitive values out."""
        return self._output_of("show", "-no-color", str(self.plan_file))

    def plan_as_json(self) -> str:
        """Return the whole plan, including sensitive values."""
        return self._output_of("show", "-json", str(self.plan_file))

    def _run(self, *arguments: str) -> None:
        self._complete(arguments, stdout=None)

    def _output_of(self, *arguments: str) -> str:
        return self._complete(arguments, stdout=subprocess.PIPE)

    def _complete(self, arguments: tuple[str, ...], *, stdout: int | None) -> str:
        with self._program.running(arguments, stdout=stdout, stderr=None) as process:
            output, _ = process.communicate()
        if process.returncode:
            advice = _ADVICE.get(arguments[0], "then try again")
            raise TerraformError(
                f"terraform {arguments[0]} failed for {self._environment}: correct what its output"
                f" above names, {advice}."
            )
        return output or ""


def value_files(folder: Path, environment: str) -> list[Path]:
    """Return the files with the values of an environment; values of a later file win.

    A recovery, such as `prod-recovery`, has the values of its environment and a few of its own.
    """
    names = dict.fromkeys([environment.removesuffix("-recovery"), environment])
    return [folder / "environments" / f"{name}.tfvars" for name in names]


def _init_command(*arguments: str) -> list[str]:
    """Return the arguments of `terraform init`.

    Raises:
        TerraformError: TF_PLUGIN_DIR is not a folder.
    """
    command = ["init", "-input=false", "-lockfile=readonly", *arguments]
    mirror = os.environ.get("TF_PLUGIN_DIR")
    if mirror and not Path(mirror).is_dir():
        raise TerraformError(
            f"TF_PLUGIN_DIR is {mirror}, which is not a folder: "
            "set it to a folder that mirrors the provider, or unset it."
        )
    if mirror:
        command.append(f"-plugin-dir={Path(mirror).resolve()}")
    return command


def _terraform_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Add Terraform's own settings to environment variables."""
    settings = {**environment, "TF_IN_AUTOMATION": "true", "CHECKPOINT_DISABLE": "true"}
    # Terraform begins the output of each command with a warning when this file is missing.
    if not Path(settings.get("TF_CLI_CONFIG_FILE", "")).is_file():
        settings.pop("TF_CLI_CONFIG_FILE", None)
    if not os.environ.get("TF_PLUGIN_DIR"):
        _PLUGIN_CACHE.mkdir(parents=True, exist_ok=True)
        settings.setdefault("TF_PLUGIN_CACHE_DIR", str(_PLUGIN_CACHE))  # one download for all roots
    return settings


def _isolated_environment() -> dict[str, str]:
    """Return environment variables that lead the provider to no real account."""
    no_proxy = filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1"])
    return {
        **QUICK_SETTINGS,
        **_inherited(),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": ",".join(no_proxy),
    }


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _events(lines: Iterable[str], log: TextIO) -> Iterator[dict[str, Any]]:
    for line in lines:
        log.write(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue  # Terraform may write a warning before its first JSON line
        if isinstance(event, dict):
            yield event


def _error_text(event: Mapping[str, Any]) -> str:
    diagnostic = event.get("diagnostic", {})
    summary = diagnostic.get("summary") or event.get("@message", "")
    return " ".join(f"{summary}: {diagnostic.get('detail', '')}".split()).rstrip(" .:")


def _change(entry: Mapping[str, Any]) -> Change:
    before, after = entry["change"]["before"] or {}, entry["change"]["after"] or {}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    actions = tuple(entry["change"]["actions"])
    if actions == ("create",):
        changed = set()
    return Change(entry["address"], entry["type"], actions, frozenset(changed))
