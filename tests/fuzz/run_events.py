"""`make fuzz-events`: atheris explores how the functions read events, guided by their coverage.

It starts the fuzzer in a process of its own, and writes what that did to docs/reliability.md.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.hostile import hostile_events
from tests.support.report import RELIABILITY, REPOSITORY, write_section

_LONGEST_INPUT = 4096
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")


def main() -> int:
    """Fuzz, and return 1 where an answer must not be."""
    parser = argparse.ArgumentParser(prog="make fuzz-events", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder)
        for number, event in enumerate(hostile_events()):
            text = json.dumps(event)[: _LONGEST_INPUT // 2]
            (seeds / f"{number}").write_text(text, encoding="utf-8")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.event_target", str(seeds)),
                *(f"-max_total_time={options.seconds}", f"-max_len={_LONGEST_INPUT}"),
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
        print("The fuzzer found an answer that must not be, shown above.", file=sys.stderr)
        return 1
    summary = (
        f"{int(done[1]):,} events in {done[2]} s, which reached {coverage[-1][0]} branches and"
        f" grew a corpus of {coverage[-1][2]} inputs; no answer was a fault of ours or malformed,"
        " and none told of the inside."
    )
    write_section(RELIABILITY, "fuzz-events", summary)
    print(summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
