#!/usr/bin/env bash
# Writes all requirements files from pyproject.toml, for all platforms, with hashes. A version only
# changes if pyproject.toml requires it. Arguments go to uv, for example --upgrade-package pytest.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=tools/requirements
upgrades=("$@")

# lock OUTPUT OPTION...: writes one requirements file.
lock() {
    local output=$1
    shift
    echo "Writing $output ..."
    UV_CUSTOM_COMPILE_COMMAND="make requirements" .local/lock/bin/uv pip compile --quiet \
        --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --output-file "$output" "$@" ${upgrades[@]+"${upgrades[@]}"}
}

# The next three share packages with dev, which sets the versions of those packages.
lock "$folder/dev.txt" pyproject.toml --group dev
lock requirements.txt pyproject.toml --constraint "$folder/dev.txt"
lock "$folder/local.txt" pyproject.toml --group local --constraint "$folder/dev.txt"
lock "$folder/bench.txt" pyproject.toml --group bench --constraint "$folder/dev.txt" \
    --constraint requirements.txt
for group in engine audit awscli iac clients lock; do
    lock "$folder/$group.txt" --group "$group"
done
