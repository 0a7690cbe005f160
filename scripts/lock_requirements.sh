#!/usr/bin/env bash
# Writes every requirements*.txt from pyproject.toml, for every platform, with hashes. Versions stay as they are
# unless pyproject.toml asks for others; arguments go to uv, as in --upgrade or --upgrade-package pytest.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock() {
    local output=$1
    shift
    echo "Writing $output ..."
    UV_CUSTOM_COMPILE_COMMAND="make requirements" .local/lock/bin/uv pip compile --quiet --universal \
        --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links --output-file "$output" "$@"
}

# The development environment holds the others' packages too, so its versions bind them.
lock tools/requirements/dev.txt pyproject.toml --group dev "$@"
lock requirements.txt pyproject.toml --constraint tools/requirements/dev.txt "$@"
lock tools/requirements/local.txt pyproject.toml --group local --constraint tools/requirements/dev.txt "$@"
lock tools/requirements/bench.txt pyproject.toml --group bench --constraint tools/requirements/dev.txt --constraint requirements.txt "$@"
lock tools/requirements/engine.txt --group engine "$@"
lock tools/requirements/audit.txt --group audit "$@"
lock tools/requirements/iac.txt --group iac "$@"
lock tools/requirements/lock.txt --group lock "$@"
