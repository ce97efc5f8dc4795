# Shoal. `make` lists what there is to do; `make up` and `make test` need nothing but Python 3.11 and make.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
SOURCES := libs gateway services proto-schemas deploy tests-e2e tools
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help up test check lint types imports check-contracts check-openapi contracts format image faults bench clean install dev

##@ Start here

up: install ## Run the whole suite on this machine (ARGS="--port 18080" and more: ARGS="--help")
	@shoal up $(ARGS)

test: dev ## Run every test against real servers (ARGS="-k pairing")
	@env -u KUBECONFIG pytest -n 2 --dist loadfile $(ARGS)  # nobody's cluster is tested on unless pytest itself is asked to

##@ Before you push

check: dev lint types imports check-contracts check-openapi test ## Exactly what CI runs

lint: dev ## Style
	@ruff check $(SOURCES) && ruff format --check $(SOURCES)

types: dev ## Types, strictly
	@mypy $(wildcard libs/*/src gateway/src services/*/src proto-schemas/python/src)

imports: dev ## Who may import whom
	@lint-imports

check-contracts: dev ## Contracts: style, drift of what is rendered, breaking changes
	@cd proto-schemas && buf lint && buf format --diff --exit-code && python -m generate --check && python -m generate.breaking

check-openapi: dev ## OpenAPI documents: drift
	@python tools/render_openapi.py --check

##@ Change things

format: dev ## Put every file into its form
	@ruff check --fix --quiet $(SOURCES); ruff format $(SOURCES)

contracts: dev ## Render what follows from the .proto files and the routes
	@cd proto-schemas && buf format -w && python -m generate
	@python tools/render_openapi.py
	@python deploy/render.py && python deploy/dashboards.py && python deploy/capacity.py

image: ## Build an image (SERVICE=pairing, or all; ENGINE=podman)
	@$(or $(ENGINE),docker) build --build-arg SERVICE=$(or $(SERVICE),all) -t shoal-$(or $(SERVICE),all):0.1.0 .

##@ Measure

faults: dev ## Break things on purpose, in full size
	@pytest tests-e2e/faults -p no:xdist --full $(ARGS)

bench: dev ## Measure against ceilings and peers; prints the table of docs/performance.md
	@python tests-e2e/bench/__main__.py $(ARGS)

##@ Housekeeping

install:
	@$(PYTHON) tools/install.py

dev:
	@$(PYTHON) tools/install.py --dev
	@$(PYTHON) tools/install_sshd.py

clean: ## Forget what was installed; your data in .shoal stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

help:
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
