#!/usr/bin/env bash
# Checks the licences of all installed packages, and the pinned packages for known vulnerabilities.
# Without a network the check for vulnerabilities is skipped; in CI this is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "$*" >&2
    exit 1
}

# Accepted licences, as packages name them; a person must read a licence before adding it here.
# If a package has several licence classifiers, one accepted classifier is enough.
ACCEPTED=(
    "0BSD"
    "Apache Software License"
    "Apache-2.0 AND CNRI-Python"
    "Apache-2.0 AND MIT"
    "Apache-2.0 OR BSD-2-Clause"
    "Apache-2.0"
    "BSD License"
    "BSD"
    "BSD-2-Clause"
    "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0"
    "BSD-3-Clause"
    "ISC License (ISCL)"
    "MIT License"
    "MIT OR AFL-2.1"
    "MIT OR Apache-2.0"
    "MIT"
    "MIT-0"
    "MPL-2.0 AND (Apache-2.0 OR MIT)"
    "MPL-2.0 AND MIT"
    "MPL-2.0"
    "Mozilla Public License 2.0 (MPL 2.0)"
    "PSF-2.0"
    "Python Software Foundation License"
)

accepted=$(printf '%s;' "${ACCEPTED[@]}")
for environment in .venv .local/engine .local/awscli .local/iac .local/audit .local/clients; do
    echo "Licences of $environment"
    # product-lambda is this repository's own package.
    rejected=$(.local/audit/bin/pip-licenses --python "$environment/bin/python" --from mixed \
        --ignore-packages product-lambda --allow-only "${accepted%;}" 2>&1 >/dev/null) ||
        fail "A licence is not on the list in scripts/audit.sh (${rejected//$'\n'/ }): read the" \
            "licence, then add it to the list or remove the package."
done

log=.local/pip-audit.log
for requirements in requirements.txt tools/requirements/{dev,engine,audit,awscli,iac,clients}.txt; do
    echo "Vulnerabilities of $requirements"
    if ! .local/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
        --requirement "$requirements" >"$log" 2>&1; then
        if grep -q '^Found ' "$log"; then
            cat "$log" >&2
            fail "A pinned package has a known vulnerability: pin the fixed version (make" \
                "requirements UPGRADE=1), or remove the package."
        fi
        message="The database of vulnerabilities is unreachable, so the check for them was skipped:"
        message+=" run make audit again with a network (details: $log)."
        if [ "${CI:-}" = true ]; then
            fail "$message"
        fi
        echo "$message"
        exit 0
    fi
done
echo "There are no known vulnerabilities, and all licences are accepted."
