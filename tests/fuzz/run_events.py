"""`make fuzz-events`: fuzzes the functions with events, guided by coverage (atheris).

It runs the fuzzer in a separate process and writes its counts to docs/reliability.md.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from product_tools.repository import REPOSITORY
from tests.support.hostile import hostile_events
from tests.support.report import RELIABILITY, write_section

_MAX_INPUT_BYTES = 4096
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")


def main() -> int:
    """Fuzz, and return 1 when a response breaks a rule."""
    parser = argparse.ArgumentParser(prog="make fuzz-events", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="duration of the run")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder)
        for number, event in enumerate(hostile_events()):
            text = json.dumps(event)[: _MAX_INPUT_BYTES // 2]
            (seeds / f"{number}").write_text(text, encoding="utf-8")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.event_target", str(seeds)),
                *(f"-max_total_time={options.seconds}", f"-max_len={_MAX_INPUT_BYTES}"),
                *("-len_control=0", f"-artifact_prefix={folder}/"),
            ],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    done, coverage = _DONE.search(ran.stderr), _COVERAGE.findall(ran.stderr)
    if ran.returncode != 0 or done is None:
        print(ran.stderr[-4000:], file=sys.stderr)
        print(
            "A response broke a rule: add the event above to tests/support/hostile.py, then correct"
            " the code.",
            file=sys.stderr,
        )
        return 1
    summary = (
        f"{int(done[1]):,} events in {done[2]} s reached {coverage[-1][0]} branches and left a"
        f" corpus of {coverage[-1][2]} inputs.\nNo response was an internal error or malformed, and"
        " none showed internal details."
    )
    write_section(RELIABILITY, "fuzz-events", summary)
    print(summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
