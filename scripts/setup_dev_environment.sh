#!/usr/bin/env bash
# Prepares a developer's machine: creates the Python environments, installs the git hooks, and lists
# missing optional programs. It changes only this repository, and can run again at any time.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# row NAME STATE: prints one row of the report.
row() {
    printf '%-20s %s\n' "$1" "$2"
}

# missing NAME STATE DEBIAN MACOS: prints the rows of a missing program, with how to install it.
missing() {
    row "$1" "$2"
    row "" "  Debian: $3"
    row "" "  macOS:  $4"
    all_installed=no
}

install_hooks() {
    local hooks
    if ! [ "$(git rev-parse --show-toplevel 2>&1)" -ef . ]; then
        row "Git hooks" "not installed: this folder is not a git repository"
        return
    fi
    if ! hooks=$(git config --get core.hooksPath); then
        git config core.hooksPath tools/githooks
        hooks=tools/githooks
    fi
    if [ "$hooks" = tools/githooks ]; then
        row "Git hooks" "installed: they check staged files before each commit"
    else
        row "Git hooks" "not installed: core.hooksPath is $hooks"
        row "" "  To install: git config core.hooksPath tools/githooks"
    fi
}

check_java() {
    local version
    # On macOS, java can be a stub that only prints how to install Java.
    if version=$(java -version 2>&1); then
        row "Java" "$(head -n 1 <<<"$version")"
    else
        missing "Java" "missing: tests on AWS's DynamoDB Local are skipped without it" \
            "sudo apt-get install default-jre-headless" \
            "brew install openjdk, then add it to PATH as brew explains"
    fi
}

check_node() {
    local node npm
    if node=$(node --version 2>&1) && npm=$(npm --version 2>&1); then
        row "Node" "$node with npm $npm"
    else
        missing "Node" "missing: it installs DynamoDB Local and checks the workflows and the OpenAPI file" \
            "sudo apt-get install nodejs npm" "brew install node"
    fi
}

check_terraform() {
    local version state
    local need="make deploy-local, make e2e and the checks of Terraform files need 1.11 or newer"
    if version=$(CHECKPOINT_DISABLE=1 terraform version 2>/dev/null); then
        version=$(sed -n 's/^Terraform v\([0-9.]*\).*/\1/p' <<<"$version")
        if is_supported_terraform "$version"; then
            row "Terraform" "$version"
            return
        fi
        state="$version is too old: $need"
    else
        state="missing: $need"
    fi
    missing "Terraform" "$state" \
        "follow developer.hashicorp.com/terraform/install" "brew install hashicorp/tap/terraform"
}

is_supported_terraform() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    [ "$major" -gt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -ge 11 ]; }
}

check_varnish() {
    if command -v varnishadm >/dev/null; then
        row "Varnish" "installed"
    else
        missing "Varnish" "missing: tests of the edge cache are skipped without it" \
            "sudo apt-get install varnish" "brew install varnish"
    fi
}

scripts/bootstrap.sh dev engine

all_installed=yes
row "Python environments" "ready in .venv and .local/engine"
install_hooks
check_java
check_node
check_terraform
check_varnish

if [ "$all_installed" = yes ]; then
    echo "Everything is installed: run make to list the targets."
else
    echo "make run and make test work without the missing programs: run make to list the targets."
fi
