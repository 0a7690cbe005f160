"""`python -m local.reset`, which `make reset` calls: removes the products of the local server.

The setting DATA_DIR comes from the environment. The API key stays.
"""

import os
import sys
from pathlib import Path

from local.engine import locked_folder, running_engine
from local.errors import LocalError
from local.settings import settings_from
from local.state_files import StateFolder, reason_of


def main() -> int:
    """Empty the local catalogue, print what was done, and return the exit code."""
    try:
        print(reset(settings_from({"DATA_DIR": os.environ.get("DATA_DIR", "")}).data_dir))
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def reset(data_dir: Path) -> str:
    """Remove the stored products, and return a sentence that says so.

    Raises:
        LocalError: a server uses the folder, or the files cannot be removed.
    """
    state = StateFolder(data_dir / "state")
    if not state.folder.exists():
        return f"There is nothing to remove: {data_dir} has no local catalogue."
    if running_engine(data_dir):
        raise LocalError(
            f"A server uses the local catalogue in {data_dir}: "
            "stop it with Ctrl-C, then run make reset again."
        )
    with locked_folder(data_dir):
        try:
            state.clear()
        except OSError as error:
            raise LocalError(
                f"The local catalogue in {state.folder} cannot be removed ({reason_of(error)}): "
                "remove that folder, then start the server again."
            ) from error
    return f"The local catalogue in {data_dir} is empty now. The API key stays the same."


if __name__ == "__main__":
    sys.exit(main())
