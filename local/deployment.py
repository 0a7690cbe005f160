"""Functions and files that the commands for local deployments share."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from local.stack import Deployment, LocalStackError, Report
from local.state_files import write_file
from product_tools.repository import REPOSITORY

DEPLOYMENT_FOLDER = REPOSITORY / ".local" / "deployment"
"""The stack of `make deploy-local`."""
DESCRIPTION_FILE = REPOSITORY / ".local" / "deployment.json"
"""How to reach that stack: URLs, API key, region, environment and features."""
EXIT_INTERRUPTED = 130


@contextlib.contextmanager
def one_run_at_a_time(lock_file: Path) -> Iterator[None]:
    """Hold a lock that stops a second run on the same deployment.

    Raises:
        LocalStackError: another run holds the lock.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalStackError(
                "Another run uses the same deployment: wait until it has ended, then try again."
            ) from None
        yield


def write_description(deployment: Deployment, path: Path) -> None:
    """Write how to reach a stack as JSON to a file that only the user can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    description = {
        "baseUrl": deployment.base_url,
        "apiKey": deployment.api_key,
        "endpointUrl": deployment.endpoint_url,
        "region": deployment.region,
        "environment": deployment.environment,
        "features": ",".join(deployment.features),
    }
    write_file(path, (json.dumps(description, indent=2) + "\n").encode())


def read_description(path: Path) -> dict[str, str]:
    """Read what `write_description` has written.

    Raises:
        LocalStackError: there is no such file.
    """
    try:
        description: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        raise LocalStackError("There is no local deployment: run make deploy-local.") from None
    return description


def one_line_per_step(report: Report) -> Report:
    """Return a report for logs, which passes on only the first line of each step."""
    last_step = ""

    def report_new_step(line: str) -> None:
        nonlocal last_step
        step = line.split(":", maxsplit=1)[0]
        if step != last_step:
            last_step = step
            report(step)

    return report_new_step
