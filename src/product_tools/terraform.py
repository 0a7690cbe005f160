"""Runs Terraform on a copy of one of the roots, with a state in a folder of this machine.

It knows Terraform's commands and their output; it knows no resource and no emulator.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from product_tools.repository import REPOSITORY

OLDEST = (1, 11)  # the first whose S3 backend locks without a table

_PLUGINS = REPOSITORY / ".local" / "terraform-plugins"
_INSTALL = "install Terraform 1.11 or newer (developer.hashicorp.com/terraform/install)"
_BACKEND_OVERRIDE = 'terraform {\n  backend "local" {\n    path = "terraform.tfstate"\n  }\n}\n'
# What a run may take from its caller: a profile, a workspace or a TF_VAR_* could point elsewhere.
_INHERITED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


class TerraformError(Exception):
    """Terraform cannot do what it should; the text is a sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan would do to one resource.

    Attributes:
        address: Its address, for example ``aws_lambda_function.function["get_product"]``.
        kind: Its type, for example ``aws_lambda_function``.
        actions: ``("create",)``, ``("update",)``, ``("delete", "create")`` and so on.
        attributes: The attributes that an update would change.
    """

    address: str
    kind: str
    actions: tuple[str, ...]
    attributes: frozenset[str] = field(default_factory=frozenset)


def find_terraform() -> str:
    """Return the path of the Terraform program.

    Raises:
        TerraformError: There is none, or it is too old.
    """
    program = shutil.which("terraform")
    if program is None:
        raise TerraformError(f"Terraform was not found: {_INSTALL}, then try again.")
    response = subprocess.run(
        [program, "version", "-json"],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    try:
        version = str(json.loads(response.stdout)["terraform_version"])
    except (ValueError, KeyError):
        raise TerraformError(f"{program} does not tell its version: {_INSTALL}.") from None
    if tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2]) < OLDEST:
        raise TerraformError(f"Terraform {version} is too old: {_INSTALL}.")
    return program


class Root:
    """A root module at work in `folder`: a copy of the files of `source`, its plan and its state.

    Args:
        source: The tracked folder; it is read only.
        folder: Where to work; made when missing, private to the user, since a state holds secrets.
        variables: Values by name, written to a file that Terraform reads by itself.
        environment: Environment variables for the provider, beside what a run inherits.
        var_file: A further file of values, which yields to `variables`.

    Raises:
        TerraformError: Terraform fails, in any method; `folder/terraform.log` has all it said.
    """

    def __init__(
        self,
        source: Path,
        folder: Path,
        variables: Mapping[str, object],
        environment: Mapping[str, str],
        var_file: Path | None = None,
    ) -> None:
        self.folder = folder
        self._program = find_terraform()
        self._log = folder / "terraform.log"
        self._plan = folder / "planned.tfplan"
        self._lock = folder / ".terraform.lock.hcl"
        self._ready = folder / "initialised.lock.hcl"
        self._applied = folder / "applied.sha256"
        self._environment = {**_environment(), **environment}
        self._lay_out(source, variables, var_file)

    def init(self) -> None:
        """Bring the provider in, once: from TF_PLUGIN_DIR where set, else from the registry."""
        if self._ready.exists() and self._ready.read_bytes() == self._lock.read_bytes():
            return
        mirror = os.environ.get("TF_PLUGIN_DIR")
        if mirror and not Path(mirror).is_dir():
            raise TerraformError(
                f"TF_PLUGIN_DIR is {mirror}, which is no folder: "
                "name one that mirrors the provider, or unset it."
            )
        arguments = ["init", "-input=false", "-no-color", "-lockfile=readonly"]
        if mirror:
            arguments.append(f"-plugin-dir={Path(mirror).resolve()}")
        if self._run(arguments).returncode:
            raise TerraformError(
                "Terraform's AWS provider could not be had: check the network, or set "
                f"TF_PLUGIN_DIR to a folder that mirrors it (the details are in {self._log})."
            )
        shutil.copyfile(self._lock, self._ready)

    def plan(self) -> list[Change]:
        """Plan, keep the plan for `apply`, and return what it would change."""
        self._narrate(
            ["plan", "-input=false", "-json", f"-out={self._plan}"], lambda _address: None
        )
        shown = self._run(["show", "-json", str(self._plan)])
        if shown.returncode:
            raise TerraformError(
                f"Terraform cannot read its own plan: the end of {self._log} says why."
            )
        changes = json.loads(shown.stdout).get("resource_changes", [])
        return [
            _change(entry) for entry in changes if entry["mode"] == "managed" and not _idle(entry)
        ]

    def apply(self, done: Callable[[str], None]) -> None:
        """Carry out the last plan; `done` hears the address of each resource that is finished."""
        self._narrate(["apply", "-input=false", "-json", str(self._plan)], done)
        self._applied.write_text(self._fingerprint())

    def has_applied_these_files(self) -> bool:
        """Whether the last complete apply was of the same files and values."""
        return self._applied.exists() and self._applied.read_text() == self._fingerprint()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs by name, the sensitive ones too."""
        response = self._run(["output", "-json"])
        if response.returncode:
            raise TerraformError(
                f"Terraform cannot read its state: the end of {self._log} says why."
            )
        return {name: output["value"] for name, output in json.loads(response.stdout).items()}

    def _lay_out(
        self, source: Path, variables: Mapping[str, object], var_file: Path | None
    ) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in (*self.folder.glob("*.tf"), *self.folder.glob("*.auto.tfvars*")):
            old.unlink()
        for entry in (*source.glob("*.tf"), source / ".terraform.lock.hcl"):
            shutil.copyfile(entry, self.folder / entry.name)
        if (source / "templates").is_dir():
            shutil.copytree(source / "templates", self.folder / "templates", dirs_exist_ok=True)
        (self.folder / "backend_override.tf").write_text(_BACKEND_OVERRIDE)
        # Terraform reads these in the order of their names, and the later one wins.
        if var_file is not None:
            shutil.copyfile(var_file, self.folder / "1.auto.tfvars")
        values = self.folder / "2.auto.tfvars.json"
        values.touch(mode=0o600)
        values.write_text(json.dumps(variables))

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        files = [path for path in self.folder.glob("*.tf*") if "tfplan" not in path.name]
        files = [path for path in files if "tfstate" not in path.name]
        for path in sorted(
            [*files, *self.folder.glob("*.auto.*"), *self.folder.glob("templates/*")]
        ):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def _read(self, arguments: list[str]) -> dict[str, Any]:
        response = self._run(arguments)
        if response.returncode:
            raise TerraformError(f"Terraform cannot read what it wrote: {self._log} says why.")
        document: dict[str, Any] = json.loads(response.stdout)
        return document

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        response = subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if response.returncode:
            with self._log.open("a") as log:
                log.write(response.stdout + response.stderr)
        return response

    def _narrate(self, arguments: list[str], done: Callable[[str], None]) -> None:
        """Run a command that tells what it does as JSON lines; on Ctrl-C, wait for its end too."""
        faults: list[str] = []
        with (
            self._log.open("w") as log,
            subprocess.Popen(
                [self._program, *arguments],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                stdin=subprocess.DEVNULL,
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101 (it was asked for)
            try:
                for event in _events(process.stdout, log):
                    if event.get("type") == "apply_complete" and event["hook"]["action"] != "read":
                        done(event["hook"]["resource"]["addr"])
                    if event.get("@level") == "error":
                        faults.append(_fault(event))
            except KeyboardInterrupt:
                # Terraform got the signal as well; it writes its state before it ends.
                process.wait()
                raise
        if process.returncode:
            said = faults[0] if faults else "it gave no reason"
            raise TerraformError(f"Terraform stopped: {said} (the details are in {self._log}).")


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # A file that is gone would make each command begin with a warning.
    settings = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if Path(settings).is_file():
        environment["TF_CLI_CONFIG_FILE"] = settings
    if "TF_PLUGIN_DIR" not in os.environ:
        _PLUGINS.mkdir(parents=True, exist_ok=True)
        environment["TF_PLUGIN_CACHE_DIR"] = str(_PLUGINS)  # one download serves every root
    return {
        **environment,
        "TF_IN_AUTOMATION": "true",
        "CHECKPOINT_DISABLE": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1"])),
    }


def _events(lines: Iterable[str], log: TextIO) -> Iterator[dict[str, Any]]:
    for line in lines:
        log.write(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a warning from before Terraform writes JSON
        if isinstance(event, dict):
            yield event


def _fault(event: Mapping[str, Any]) -> str:
    diagnostic = event.get("diagnostic", {})
    summary = diagnostic.get("summary") or event.get("@message", "")
    return " ".join(f"{summary}: {diagnostic.get('detail', '')}".split()).rstrip(" .:")


def _idle(entry: Mapping[str, Any]) -> bool:
    return entry["change"]["actions"] in (["no-op"], ["read"])


def _change(entry: Mapping[str, Any]) -> Change:
    before, after = entry["change"]["before"] or {}, entry["change"]["after"] or {}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return Change(
        entry["address"], entry["type"], tuple(entry["change"]["actions"]), frozenset(changed)
    )
