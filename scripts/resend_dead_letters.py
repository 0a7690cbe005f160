#!/usr/bin/env python3
"""Gives messages that no function has processed to their function again.

Dead letters go back to the queue that they came from, parked records and stream failures to
change_publisher. A message is deleted only after that; so a killed run loses nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence

import environment_check

from rich.console import Console
from rich.progress import track

from product_tools.dead_letters import QUEUES, Message, Queue, QueueError, sqs_client
from product_tools.functions import ENVIRONMENTS
from product_tools.publisher import PublisherError
from product_tools.resending import NothingToGiveError, target_of
from product_tools.unprocessed import describe

EXIT_DONE, EXIT_TROUBLE, EXIT_INTERRUPTED = 0, 1, 130


class _Run:
    """One run on one queue.

    Attributes:
        queue: the queue with the messages.
        length: about how many messages it has at the beginning.
        target: what gets the messages.
        done: how many messages were sent or discarded, or would be.
        kept: sentences about the chosen messages that stay in the queue.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        names, client = QUEUES[options.queue], sqs_client()
        self.queue = Queue(client, names.name.format(options.environment), names.switch)
        self.target = target_of(client, options.queue, options.environment)
        self.length = self.queue.length()
        self.done = 0
        self.kept: list[str] = []

    def handle_all(self) -> None:
        """Handle each chosen message, and make the others visible again.

        Raises:
            QueueError, PublisherError: a call fails; the rest is not tried.
        """
        errors = Console(stderr=True)
        is_hidden = not errors.is_terminal
        try:
            for message in track(
                *(self._messages(), self.queue.name, self.length),
                console=errors,
                transient=True,
                disable=is_hidden,
            ):
                self._handle(message)
        finally:
            self.queue.give_back()

    def _messages(self) -> Iterable[Message]:
        """Return all messages; one after another where a FIFO queue needs deletions in between."""
        messages = self.queue.messages()
        return list(messages) if self._options.dry_run or self.target.takes_back else messages

    def _handle(self, message: Message) -> None:
        product, change, _ = describe(self._options.queue, message, self._options.environment)
        is_chosen = self._options.product in (None, product) and (
            self._options.message in (None, message.message_id)
        )
        if not is_chosen or self.target.has_given(message):
            return
        try:
            verb = self._discard(message) if self._options.discard else self._resend(message)
        except NothingToGiveError as error:
            self.kept.append(f"{message.message_id} stays. {error}")
            return
        self.done += 1
        print(f"{message.message_id} {verb}: {product or 'no product'}, {change}", flush=True)

    def _resend(self, message: Message) -> str:
        records = self.target.records(message)
        if self._options.dry_run:
            return "would be sent"
        self.target.give(message, records)
        self.queue.delete(message)
        return "was sent"

    def _discard(self, message: Message) -> str:
        if self._options.dry_run:
            return "would be discarded"
        text = {"messageId": message.message_id, "body": message.body}
        print(json.dumps(text, ensure_ascii=False), flush=True)
        self.queue.delete(message)
        return "was discarded"


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the messages to their function again, and return the exit code."""
    options = _parser().parse_args(arguments)
    run = None
    try:
        run = _Run(options)
        run.handle_all()
    except (QueueError, PublisherError) as error:
        print(error, file=sys.stderr)
        code = EXIT_TROUBLE
    except KeyboardInterrupt:
        print("Interrupted: start the command again to do the rest.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    else:
        code = EXIT_TROUBLE if run.kept else EXIT_DONE
    if run:
        _print_summary(options, run)
    return code


def _print_summary(options: argparse.Namespace, run: _Run) -> None:
    for sentence in run.kept:
        print(sentence, file=sys.stderr)
    verb = "discarded" if options.discard else f"sent to {run.target.name}"
    if options.dry_run:
        text = f"{run.done} of about {run.length} would be {verb}. Nothing was changed."
    else:
        text = f"{run.done} of about {run.length} {verb}."
    print(f"{run.queue.name}: {text}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Gives messages that no function has processed to their function again: dead"
        " letters to the queue that they came from, parked records and the records of stream"
        " failures to change_publisher.",
        epilog="Mend the cause first, or the messages come back. A message is deleted only after"
        " it was sent. If the command is killed in between, the next run sends it once more, which"
        " is harmless: each consumer takes a repetition for one. Messages of a FIFO queue"
        " (change) keep their order for each product. A parked record whose item is unreadable"
        " is parked again: mend the item instead, which makes an event of its own, then --discard"
        " the record. The stream keeps the records of stream failures for 24 hours.",
    )
    parser.add_argument("queue", choices=QUEUES, help="the queue, by its short name")
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument("--product", metavar="ID", help="only the messages of this product")
    parser.add_argument("--message", metavar="ID", help="only the message with this id")
    parser.add_argument(
        "--discard",
        action="store_true",
        help="print the messages whole and delete them, without sending them",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would happen")
    return parser


if __name__ == "__main__":
    sys.exit(main())
