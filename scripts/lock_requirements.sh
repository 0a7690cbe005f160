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
lock requirements-dev.txt pyproject.toml --group dev "$@"
lock requirements.txt pyproject.toml --constraint requirements-dev.txt "$@"
lock requirements-local.txt pyproject.toml --group local --constraint requirements-dev.txt "$@"
lock requirements-bench.txt pyproject.toml --group bench --constraint requirements-dev.txt --constraint requirements.txt "$@"
lock requirements-engine.txt --group engine "$@"
lock requirements-audit.txt --group audit "$@"
lock requirements-iac.txt --group iac "$@"
lock requirements-lock.txt --group lock "$@"
