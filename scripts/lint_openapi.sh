#!/usr/bin/env bash
# Checks openapi/product-api.yaml by the rules of Spectral, OWASP and Redocly, and the AsyncAPI file
# of the events by those of Spectral; warnings included.
# Without Node, the checks are skipped; in CI this is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/skip_without.sh
source scripts/skip_without.sh

skip_without node "Node was not found, so the OpenAPI and AsyncAPI files were not checked: install Node.js (Debian:\
 nodejs and npm, macOS: brew install node)."
scripts/bootstrap.sh openapi-lint
programs=.local/openapi_lint/node_modules/.bin

echo "spectral"
"$programs/spectral" lint --quiet --fail-severity hint --ruleset tools/openapi_lint/spectral.yaml \
    openapi/product-api.yaml
"$programs/spectral" lint --quiet --fail-severity hint --ruleset tools/openapi_lint/asyncapi.yaml \
    schemas/product-events.asyncapi.yaml

echo "redocly"
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true "$programs/redocly" lint \
    --config tools/openapi_lint/redocly.yaml openapi/product-api.yaml
