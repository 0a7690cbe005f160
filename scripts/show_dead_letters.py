#!/usr/bin/env python3
"""Shows the messages that no function has processed, and leaves them in their queue."""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import environment_check

from rich.console import Console
from rich.table import Table
from rich.text import Text

from product_tools.arguments import at_least_one
from product_tools.dead_letters import QUEUES, Message, Queue, QueueError, sqs_client
from product_tools.functions import ENVIRONMENTS
from product_tools.unprocessed import describe

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

EXIT_INTERRUPTED = 130
LIMIT = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the messages, and return the exit code."""
    options = _parser().parse_args(arguments)
    names = QUEUES[options.queue]
    try:
        client = sqs_client()
        queue = Queue(client, names.name.format(options.environment), names.switch)
        length = queue.length()
        origin = _origin(client, options)
        try:
            with Console(stderr=True).status(f"Reading {queue.name}"):
                messages = list(islice(queue.messages(), options.limit))
        finally:
            queue.give_back()
    except QueueError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    if options.json:
        print(json.dumps([_document(each) for each in messages], ensure_ascii=False, indent=2))
    else:
        _print_table(options, messages)
        print(f"{queue.name}: {len(messages)} shown, about {length} in the queue.{origin}")
    return 0


def _origin(client: "SQSClient", options: argparse.Namespace) -> str:
    """Return a sentence about the queue that dead letters come from; empty if there is none."""
    names = QUEUES[options.queue]
    if not names.source:
        return ""
    source = Queue(client, names.source.format(options.environment), names.switch)
    counts = f"about {source.length()} waiting, {source.in_work()} in work"
    return f"\n{source.name}, where dead letters come from: {counts}."


def _print_table(options: argparse.Namespace, messages: Sequence[Message]) -> None:
    if not messages:
        return
    table = Table()
    for heading in ("Sent (UTC)", "Product", "Change", "Why", "Message"):
        table.add_column(heading, overflow="fold")
    for message in sorted(messages, key=lambda message: message.sent_at):
        product, change, why = describe(options.queue, message, options.environment)
        sent = f"{message.sent_at:%Y-%m-%d %H:%M:%S}"
        # Text, since a name may look like markup
        table.add_row(*map(Text, (sent, product, change, why, message.message_id)))
    Console().print(table)


def _document(message: Message) -> dict[str, object]:
    return {
        "messageId": message.message_id,
        "sentAt": message.sent_at.isoformat(),
        "group": message.group or None,
        "attributes": {
            name: attribute.get("StringValue") for name, attribute in message.attributes.items()
        },
        "body": message.body,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Shows the messages that no function has processed: when they were sent, about"
        " which product and change, and why.",
        epilog="SQS has no way to look at a message without receiving it. So the command receives"
        " the messages, and makes them visible again at once; if it is killed, SQS does so after 5"
        " minutes. Nothing is deleted, and no order changes. Only the receive count of each message"
        " grows, which has no effect in these queues, as no other queue follows them. Of a FIFO"
        " queue (change), SQS delivers only the first ten messages of a product at a time.",
    )
    parser.add_argument("queue", choices=QUEUES, help="the queue, by its short name")
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--limit",
        type=at_least_one,
        default=LIMIT,
        metavar="NUMBER",
        help=f"how many messages to show at most (default: {LIMIT})",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the whole messages as a JSON list"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
