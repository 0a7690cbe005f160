#!/usr/bin/env python3
"""Moves requests to the newest version of every function, in steps, while it watches the alarms.

It rolls back by itself when an alarm fires, validation fails or it is stopped. After a kill, run it
again to continue, or undo it with `rollback.py`. It deploys nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from botocore.exceptions import BotoCoreError

from product_tools.aliases import AliasError, Aliases, cloudwatch_client, explained, lambda_client
from product_tools.functions import ENVIRONMENTS, function_names
from product_tools.rollback import roll_back
from product_tools.traffic import (
    ALL,
    Alarms,
    Shift,
    ShiftError,
    Stop,
    alarm_prefixes,
    carry_out,
    listed,
)

EXIT_SIGNALLED = 128  # plus the signal's number, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Shift as the command line asks.

    Returns:
        0 when the new versions have taken over, 1 when they have not, 128 and the signal's number
        when it was stopped.
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
    except BotoCoreError as error:
        print(explained(error), file=sys.stderr)
        return 1
    if firing and not options.despite_alarms:
        print(
            f"Nothing was shifted, since {listed(firing)}; see the operations runbook, or give"
            " --despite-alarms when this deployment is to mend the cause.",
            file=sys.stderr,
        )
        return 1

    with Stop() as stop:
        complete = False
        try:
            carry_out(shift, alarms, set(firing), options, stop)
            complete = True
        except (ShiftError, AliasError) as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            if not complete and roll_back(aliases, shift.functions, shift.number):
                print(
                    f"Run scripts/rollback.py --environment {options.environment} until it says"
                    " that every function is back.",
                    file=sys.stderr,
                )
    if complete:
        return 0
    return EXIT_SIGNALLED + stop.signal if stop.signal else 1


def percentages(text: str) -> list[int]:
    """Read rising whole percentages that end with 100, as in ``10,50,100``.

    Raises:
        argparse.ArgumentTypeError: they are not.
    """
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        steps = []
    if steps != sorted(set(steps)) or not steps or steps[0] < 1 or steps[-1] != ALL:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no steps: give rising whole percentages that end with 100, as 10,50,100"
        )
    return steps


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 -- an hour, which AWS credentials last
        raise argparse.ArgumentTypeError(f"{text} is no wait: give 0 to 3600 seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Moves requests to the newest version of every function, and back if it fails.",
        epilog="Killed, it goes on when run again, or scripts/rollback.py undoes it.",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--steps",
        type=percentages,
        default=[ALL],
        metavar="LIST",
        help="percentages of requests for the new version, one after the other (100)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to watch the alarms after each step (0: one look)",
    )
    parser.add_argument(
        "--validate", metavar="COMMAND", help="run after each step; its failure rolls back"
    )
    parser.add_argument(
        "--despite-alarms",
        action="store_true",
        help="shift although an alarm fires already, to mend its cause",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
