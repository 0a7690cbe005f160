#!/usr/bin/env bash
# Builds the zip of each Lambda function, for arm64 by default, on any machine.
#
# Usage: scripts/package_lambdas.sh [--arch arm64|x86_64] [--out DIR]
set -euo pipefail

folder=$(dirname "${BASH_SOURCE[0]}")
"$folder/bootstrap.sh" dev
# There is no cd, so that DIR is relative to the caller's folder.
exec "$folder/../.venv/bin/python" "$folder/package_lambdas.py" "$@"
