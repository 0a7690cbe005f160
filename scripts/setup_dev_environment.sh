#!/usr/bin/env bash
# Prepares a developer's machine: the Python environments, the git hooks, and a word on the programs
# that only some targets need. It installs nothing outside the repository; running it again is harmless.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# line WHAT STATE: one row of the report.
line() {
    printf '%-20s %s\n' "$1" "$2"
}

# missing WHAT STATE DEBIAN MACOS: a row on a program that is not there, and how to get it.
missing() {
    line "$1" "$2"
    line "" "  Debian: $3"
    line "" "  macOS:  $4"
    all_present=no
}

install_hooks() {
    local hooks
    if ! [ "$(git rev-parse --show-toplevel 2>&1)" -ef . ]; then
        line "Git hooks" "not installed: this folder is no git repository"
        return
    fi
    if ! hooks=$(git config --get core.hooksPath); then
        git config core.hooksPath tools/githooks
        hooks=tools/githooks
    fi
    if [ "$hooks" = tools/githooks ]; then
        line "Git hooks" "installed: staged files are checked before each commit"
    else
        line "Git hooks" "yours in $hooks are kept; for this repository's, git config core.hooksPath tools/githooks"
    fi
}

look_for_java() {
    local version
    # macOS has a java that only says where to get one.
    if version=$(java -version 2>&1); then
        line "Java" "$(head -n 1 <<<"$version")"
    else
        missing "Java" "missing: without it, the tests on AWS's DynamoDB Local are skipped" \
            "sudo apt-get install default-jre-headless" "brew install openjdk, and do what it says about PATH"
    fi
}

look_for_node() {
    local node npm
    if node=$(node --version 2>&1) && npm=$(npm --version 2>&1); then
        line "Node" "$node with npm $npm"
    else
        missing "Node" "missing: it fetches DynamoDB Local for the tests, and the checks of workflows" \
            "sudo apt-get install nodejs npm" "brew install node"
    fi
}

look_for_terraform() {
    local version state need="1.11 or newer is needed by make deploy-local, make e2e and the checks of Terraform files"
    if version=$(CHECKPOINT_DISABLE=1 terraform version 2>/dev/null); then
        version=$(sed -n 's/^Terraform v\([0-9.]*\).*/\1/p' <<<"$version")
        if terraform_is_new_enough "$version"; then
            line "Terraform" "$version"
            return
        fi
        state="$version is too old: $need"
    else
        state="missing: $need"
    fi
    missing "Terraform" "$state" \
        "follow developer.hashicorp.com/terraform/install" "brew install hashicorp/tap/terraform"
}

terraform_is_new_enough() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    [ "$major" -gt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -ge 11 ]; }
}

scripts/bootstrap.sh dev engine

all_present=yes
line "Python environments" "ready in .venv and .local/engine"
install_hooks
look_for_java
look_for_node
look_for_terraform

if [ "$all_present" = yes ]; then
    echo "All is there: make lists what can be done."
else
    echo "make run and make test work without what is missing: make lists what can be done."
fi
