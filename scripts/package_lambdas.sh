#!/usr/bin/env bash
# Builds one zip for each Lambda function, for arm64 unless told otherwise, whatever this machine is.
#
# Usage: scripts/package_lambdas.sh [--arch arm64|x86_64] [--out DIR]
set -euo pipefail

"$(dirname "${BASH_SOURCE[0]}")/bootstrap.sh" dev
# Run by its path, so that DIR is relative to where the caller stands.
exec "$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python" "$(dirname "${BASH_SOURCE[0]}")/package_lambdas.py" "$@"
