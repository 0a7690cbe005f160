"""`make load`: loads the local server and the deployed local stack with reads and writes.

The first phase sends 100 requests a second, the second phase sends without pauses; locust is the
load tool.
"""

import argparse
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3

from local.engine import running_engine
from local.stack import LocalStack
from product_tools.repository import REPOSITORY
from product_tools.terraform import find_terraform
from tests.support.report import FIGURES, PERFORMANCE, table, write_section
from tests.support.workload import new_product

PRODUCTS = 60
RATE = 100
_USERS = 4  # more users would queue for two cores and start more worker processes
_WARM_UP_SECONDS = 10
_NO_THROTTLING = 100_000  # requests a second; the limits of the gateway must not be reached
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Target:
    """An API under load.

    Attributes:
        processes: the processes whose CPU time counts, by their part of the system.
    """

    name: str
    base_url: str
    api_key: str
    processes: Callable[[], Mapping[str, list[psutil.Process]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The measurements of one phase; `cpu_seconds` is by part of the system."""

    target: str
    phase: str
    per_second: float
    requests: int
    failures: int
    milliseconds: Mapping[str, float]
    statuses: Mapping[str, int]
    seconds: int
    cpu_seconds: Mapping[str, float]


def main() -> int:
    """Load both targets, write the tables, and return 1 when requests failed."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="duration of the steady phase")
    parser.add_argument(
        "--rush-seconds", type=int, default=20, help="duration of the phase without pauses"
    )
    options = parser.parse_args()
    find_terraform()

    outcomes: list[Outcome] = []
    for target in (local_server, deployed_stack):
        with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as running:
            _fill(running)
            _load(running, "warm-up", 0, _WARM_UP_SECONDS)
            steady = f"{RATE} a second"
            outcomes.append(_load(running, steady, RATE / _USERS, options.seconds))
            outcomes.append(_load(running, "no pauses", 0, options.rush_seconds))
    cores = os.cpu_count()
    conditions = (
        f"{_USERS} users send nine reads to one write: {options.seconds} s at {RATE} requests a"
        f" second, then\n{options.rush_seconds} s without pauses. The load tool shares the {cores}"
        " cores."
    )
    write_section(PERFORMANCE, "load", f"{conditions}\n\n{_latency_table(outcomes)}")
    write_section(FIGURES, "load", _core_table(outcomes))
    for outcome in outcomes:
        print(outcome)
    return 1 if any(outcome.failures for outcome in outcomes) else 0


@contextlib.contextmanager
def local_server(folder: Path) -> Iterator[Target]:
    """Run the server of `make run` on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    api_key = secrets.token_hex(20)
    base_url = f"http://127.0.0.1:{port}/v1.0"
    settings = {"PORT": str(port), "API_KEY": api_key, "DATA_DIR": str(folder)}
    server = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def processes() -> Mapping[str, list[psutil.Process]]:
        process = psutil.Process(server.pid)
        return {"functions and gateway": [process], "engine": process.children(recursive=True)}

    try:
        _wait_for(f"{base_url}/products")
        yield Target("local server", base_url, api_key, processes)
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def deployed_stack(folder: Path) -> Iterator[Target]:
    """Deploy the Terraform files to a new local AWS, with limits too high to throttle."""
    limits = [
        f"{scope}_throttle_{kind}" for scope in ("stage", "write") for kind in ("rate", "burst")
    ]
    stack = LocalStack(folder, variables=dict.fromkeys(limits, _NO_THROTTLING))
    try:
        deployment = stack.deploy(lambda _: None)
        running = running_engine(stack.engine_folder)
        if running is None:
            raise SystemExit("The local AWS stopped after the deployment: run make load again.")
        engine = psutil.Process(running.pid)

        def processes() -> Mapping[str, list[psutil.Process]]:
            return {"functions": engine.children(recursive=True), "gateway and engine": [engine]}

        yield Target("deployed stack", deployment.base_url, deployment.api_key, processes)
    finally:
        stack.destroy()


def _load(target: Target, phase: str, rate: float, seconds: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        result_file = Path(folder) / "result.json"
        settings = {
            "LOAD_API_KEY": target.api_key,
            "LOAD_RATE": str(rate),
            "LOAD_RESULT": str(result_file),
        }
        print(f"{target.name}, {phase}: {seconds} s ...", flush=True)
        before = _cpu_seconds(target)
        subprocess.run(
            [
                *(sys.executable, "-m", "locust", "--locustfile", "benchmarks/locustfile.py"),
                *(
                    "--headless",
                    "--only-summary",
                    "--loglevel",
                    "ERROR",
                    "--exit-code-on-error",
                    "0",
                ),
                *("--host", target.base_url, "--users", str(_USERS), "--spawn-rate", str(_USERS)),
                *("--run-time", f"{seconds}s"),
            ],
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        used = {part: after - before[part] for part, after in _cpu_seconds(target).items()}
        result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    used["load tool"] = result["cpu_seconds"]
    return Outcome(
        target.name,
        phase,
        result["per_second"],
        result["requests"],
        result["failures"],
        result["milliseconds"],
        result["statuses"],
        seconds,
        used,
    )


def _cpu_seconds(target: Target) -> dict[str, float]:
    return {
        part: sum(sum(process.cpu_times()[:2]) for process in processes)
        for part, processes in target.processes().items()
    }


def _fill(target: Target) -> None:
    for _ in range(PRODUCTS):
        response = urllib3.request(
            "POST",
            f"{target.base_url}/products",
            json=new_product(),
            headers={"x-api-key": target.api_key},
        )
        if response.status >= 400:  # noqa: PLR2004 (the first error status)
            raise SystemExit(
                f"The {target.name} did not create a product (status {response.status}):"
                " run make test, which shows the error."
            )


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if urllib3.request("GET", url, retries=False, timeout=5).status < 500:  # noqa: PLR2004
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise SystemExit("The local server did not start: run make run, which shows the reason.")


def _latency_table(outcomes: list[Outcome]) -> str:
    return table(
        ("target and phase", "requests", "a second", "failed", "p50, ms", "p95, ms", "p99, ms"),
        [
            (
                f"{each.target}, {each.phase}",
                f"{each.requests:,}",
                f"{each.per_second:.0f}",
                f"{each.failures} ({each.failures / each.requests:.2%})",
                *(f"{each.milliseconds[percent]:.0f}" for percent in ("50", "95", "99")),
            )
            for each in outcomes
        ],
    )


def _core_table(outcomes: list[Outcome]) -> str:
    return table(
        ("target and phase", "cores busy, by part", "CPU per request, ms, by part"),
        [
            (
                f"{each.target}, {each.phase}",
                _parts(each, 1 / each.seconds),
                _parts(each, 1000 / each.requests),
            )
            for each in outcomes
        ],
    )


def _parts(outcome: Outcome, scale: float) -> str:
    return ", ".join(f"{part} {value * scale:.2f}" for part, value in outcome.cpu_seconds.items())


if __name__ == "__main__":
    sys.exit(main())
