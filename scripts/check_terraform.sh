#!/usr/bin/env bash
# Checks the Terraform files without an AWS account: format, validity against the provider's schema,
# and checkov's security rules. Without Terraform the checks are skipped; in CI this is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/skip_without.sh
source scripts/skip_without.sh

skip_without terraform \
    "Terraform was not found, so its files were not checked: install version 1.11 or newer."
scripts/bootstrap.sh iac

echo "terraform fmt"
terraform fmt -check -diff -recursive terraform

mkdir -p .local
for root in terraform terraform/pipelines terraform/region terraform/table; do
    echo "terraform validate in $root"
    # Not the folder's own .terraform, which a deployment uses.
    export TF_DATA_DIR=$PWD/.local/validate/$root
    log=.local/validate-${root//\//-}.log
    if ! terraform -chdir="$root" init -backend=false -input=false -lockfile=readonly -no-color \
        ${TF_PLUGIN_DIR:+"-plugin-dir=$TF_PLUGIN_DIR"} >"$log" 2>&1; then
        echo "Terraform's provider could not be fetched for $root: check the network, or set" \
            "TF_PLUGIN_DIR to a folder with a mirror of the provider (details: $log)." >&2
        exit 1
    fi
    terraform -chdir="$root" validate -no-color
done

echo "checkov"
.local/iac/bin/checkov --directory terraform --framework terraform --quiet --compact --skip-download
