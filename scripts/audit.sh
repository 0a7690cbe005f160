#!/usr/bin/env bash
# Looks for known vulnerabilities in the pinned packages, and holds the licences of all that is installed to a list.
# Without a network, a person is told that vulnerabilities were not looked for; CI fails.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Licences that permit what is done here, as packages write them; a new one needs a person's
# eyes. Of several classifiers of one package, one on the list is enough.
PERMITTED=(
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

allowed=$(printf '%s;' "${PERMITTED[@]}")
for environment in .venv .local/engine .local/iac .local/audit; do
    echo "Licences of $environment"
    if ! refused=$(.local/audit/bin/pip-licenses --python "$environment/bin/python" --from mixed \
        --allow-only "${allowed%;}" 2>&1 >/dev/null); then
        echo "A package's licence is not on the list in scripts/audit.sh (${refused//$'\n'/ }): read the licence, then add it there or do without the package." >&2
        exit 1
    fi
done

log=.local/pip-audit.log
for requirements in requirements.txt tools/requirements/dev.txt tools/requirements/engine.txt tools/requirements/audit.txt tools/requirements/iac.txt; do
    echo "Vulnerabilities of $requirements"
    if ! .local/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
        --requirement "$requirements" >"$log" 2>&1; then
        if grep -q '^Found ' "$log"; then
            cat "$log" >&2
            echo "A pinned package has a known vulnerability: pin the fixed version (make requirements UPGRADE=1), or leave the package out." >&2
            exit 1
        fi
        message="The database of vulnerabilities could not be asked, so known ones were not looked for: try again with a network (the details are in $log)."
        if [ "${CI:-}" = true ]; then
            echo "$message" >&2
            exit 1
        fi
        echo "$message"
        exit 0
    fi
done
echo "No known vulnerability, and no licence that is not on the list."
