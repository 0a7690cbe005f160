#!/usr/bin/env python3
"""Shifts traffic to the newest version of every function in steps, and watches the alarms.

It rolls back by itself when an alarm fires, the validation fails or a stop signal arrives. After a
kill, run it again to continue, or run `rollback.py` to roll back. It deploys nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools.aliases import AliasError, Aliases, cloudwatch_client, lambda_client
from product_tools.functions import ENVIRONMENTS, function_names
from product_tools.rollback import roll_back
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

EXIT_SIGNALLED = 128  # plus the signal's number, as in shells
LONGEST_WAIT_SECONDS = 3600  # AWS credentials expire after an hour


def main(arguments: Sequence[str] | None = None) -> int:
    """Shift traffic.

    Returns:
        0 when all requests go to the new versions, 1 when they do not, 128 plus the signal's
        number after a stop signal.
    """
    options = _parser().parse_args(arguments)
    try:
        aliases = Aliases(lambda_client())
        alarms = Alarms(cloudwatch_client(), alarm_prefixes(options.environment))
        firing = alarms.firing()
        shift = Shift(aliases, function_names(options.environment))
    except (ShiftError, AliasError) as error:
        print(error, file=sys.stderr)
        return 1
    if firing and not options.despite_alarms:
        print(
            f"Nothing was shifted because these alarms are firing: {', '.join(firing)}; see the"
            " operations runbook, or add --despite-alarms if this deployment fixes the cause.",
            file=sys.stderr,
        )
        return 1

    alarms.tolerate(firing)
    schedule = Schedule(options.steps, options.wait, options.validate)
    with StopRequest() as stop:
        is_complete = False
        try:
            carry_out(shift, alarms, schedule, stop)
            is_complete = True
        except (ShiftError, AliasError) as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            if not is_complete and not roll_back(aliases, shift.functions, shift.number):
                print(
                    f"Run scripts/rollback.py --environment {options.environment} until every"
                    " function is rolled back.",
                    file=sys.stderr,
                )
    if is_complete:
        return 0
    return EXIT_SIGNALLED + stop.signal if stop.signal else 1


def percentages(text: str) -> list[int]:
    """Parse rising whole percentages that end with 100, such as ``10,50,100``.

    Raises:
        argparse.ArgumentTypeError: the text is invalid.
    """
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        steps = []
    if steps != sorted(set(steps)) or not steps or steps[0] < 1 or steps[-1] != ALL:
        raise argparse.ArgumentTypeError(
            f"{text!r} is invalid: give rising whole percentages that end with 100, such as"
            " 10,50,100"
        )
    return steps


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_WAIT_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text} is invalid: give 0 to {LONGEST_WAIT_SECONDS} seconds"
        )
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Shifts traffic to the newest version of every function; rolls back on errors.",
        epilog="After a kill, run it again to continue, or run scripts/rollback.py to roll back.",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--steps",
        type=percentages,
        default=[ALL],
        metavar="LIST",
        help="rising percentages of requests for the new versions (default: 100)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to watch the alarms after each step (default: 0, which means one look)",
    )
    parser.add_argument(
        "--validate",
        metavar="COMMAND",
        help="command to run after each step; if it fails, the shift is rolled back",
    )
    parser.add_argument(
        "--despite-alarms",
        action="store_true",
        help="shift although an alarm is already firing, to fix its cause",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
