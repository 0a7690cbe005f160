#!/usr/bin/env python3
"""Replays the archived change events of a period to one consumer, and to no other."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import environment_check

from rich.console import Console

from product_tools.functions import ENVIRONMENTS
from product_tools.moments import MomentError, add_period, period_of
from product_tools.replays import CONSUMERS, ReplayError, Replays

EXIT_INTERRUPTED = 130
WAIT_SECONDS = 3600
_FORM = "%Y-%m-%d %H:%M:%S"


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay the events, show the progress, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _replay(options)
    except (MomentError, ReplayError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "Interrupted: a replay that was started goes on. aws events cancel-replay ends it.",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED


def _replay(options: argparse.Namespace) -> int:
    since, until = period_of(options)
    replays = Replays(options.environment)
    plan = replays.plan(options.consumer)
    period = f"{since:{_FORM}} to {until:{_FORM}} (UTC)"
    print(f"The archive has about {plan.events:,} events since {plan.keeps_since:{_FORM}} (UTC).")
    if options.dry_run:
        print(f"Would be replayed to {options.consumer}: {period}. Nothing was started.")
        return 0
    name = replays.start(plan, options.consumer, since, until)
    print(f"{name}: replaying {period} to {options.consumer}.", flush=True)
    console = Console(highlight=False, soft_wrap=True)
    with console.status("Starting") as status:

        def show(last: datetime | None) -> None:
            text = f"{last.astimezone(UTC):{_FORM}}" if last else "no event yet"
            status.update(f"Last replayed: {text}")
            if not console.is_terminal:
                console.print(f"{name}: last replayed: {text}.")

        replays.wait(name, options.wait, show)
    print(f"{name}: all events of the period were replayed.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Replays the archived change events of a period to one consumer.",
        epilog="Only the rule of this consumer gets the events; each has a member replay-name."
        " Events that the consumer already has are repetitions, which it ignores. EventBridge"
        " replays minute by minute, within a minute in any order. An event reaches the archive up"
        " to 10 minutes after the bus: so begin 10 minutes after the end of the period.",
    )
    parser.add_argument(
        "consumer",
        metavar="CONSUMER",
        help=f"who gets the events: {', '.join(CONSUMERS)}, or the name of the rule of another team"
        " on the bus",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    add_period(parser)
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for the end (default: {WAIT_SECONDS})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only look at the archive and the rule"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
