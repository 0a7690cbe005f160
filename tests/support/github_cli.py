"""A program `gh` that responds like GitHub's command line, for commands of the runbooks.

There is no GitHub here. A command that it does not know fails, as a wrong one would.
"""

from pathlib import Path

_PROGRAM = """#!/bin/sh
case "$*" in
    "workflow run "*.yml" --ref "*) echo "Created workflow_dispatch event" ;;
    "run watch") echo "completed with 'success'" ;;
    "run list "*" --json headSha "*) git rev-parse HEAD ;;
    "secret set "*" --env "*) ;;
    "variable set "*" --env "*) ;;
    "variable get "*" --env "*) echo team@example.com ;;
    "api "*" --jq .sub_claim_prefix") echo "repo:OWNER@1/REPOSITORY@2" ;;
    "api --method PUT "*) echo '{}' ;;
    *) echo "the program gh of the tests does not know: gh $*" >&2; exit 1 ;;
esac
"""


def write_github_cli(path: Path) -> None:
    """Write the program; in a clone, the last commit counts as deployed."""
    path.write_text(_PROGRAM)
    path.chmod(0o755)
