# Thin on purpose: what the targets do is in deploy/ (python -m deploy.stack --help). In containers where a Docker engine answers, else as
# processes of this machine; WAYBILL_STACK=docker|local says which.
.DEFAULT_GOAL := help
.PHONY: help setup up down clean status demo test test-compose check bench faults fuzz faults-mutants

PYTHON ?= python3
VENV := .venv/bin/python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -m deploy.local.bootstrap

up: setup ## start the stack and wait until it is ready; .local/waybill.env says where everything is
	@$(VENV) -m deploy.stack up

down: ## stop the stack; the data is kept
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.stack down

clean: ## stop the stack and wipe its data
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.stack clean

status: ## what runs
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.stack status

demo: up ## load sample data and run exports over HTTP and over Kafka; leaves the stack up
	@$(VENV) -m deploy.local.demo

test: setup ## every test, on a stack of its own; ARGS="tests/unit -k name" picks some
	@$(VENV) -m deploy.local.testing $(ARGS)

test-compose: ## the image built, docker-compose.yml run, the end-to-end tests against it; without an engine starts one (as root)
	@$(PYTHON) -m deploy.local.bootstrap --all
	@$(VENV) -m tests.compose $(ARGS)

faults: ## processes die, networks break, messages repeat, by seed; SEED= and ROUNDS= pick, LOG=1 keeps the rounds in the log
	@$(PYTHON) -m deploy.local.bootstrap --all
	@$(VENV) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(LOG),--log)

faults-mutants: ## the fault suite must fail when a safeguard is taken out (of a copy)
	@$(PYTHON) -m deploy.local.bootstrap --all
	@$(VENV) -m tests.faults.mutants

fuzz: setup ## every HTTP operation called with 1,000 cases and more, on the running stack; ARGS are those of schemathesis run
	@$(VENV) -m tests.fuzz $(ARGS)

check: ## formatting, lint, types, import rules, Dockerfiles, schemas, generated pages, secrets, known vulnerabilities
	@$(PYTHON) -m deploy.local.bootstrap --python-only
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint deploy/Dockerfile tests/compose/standins/*/Dockerfile
	$(VENV) -m tools.check_schemas
	$(VENV) -m tools.metrics_catalogue
	$(VENV) -m tools.openapi
	$(VENV) -m tools.rights_table
	$(VENV) -m tools.dataset_pages
	$(VENV) -m tools.format_pages
	$(VENV) -m tools.secret_scan
	$(VENV) -m tools.dependency_audit

bench: ## speed side by side with peers; writes the table of docs/benchmarks.md; ARGS="--only csv --quick" measures a part
	@$(PYTHON) -m deploy.local.bootstrap --all
	@$(VENV) -m tests.bench $(ARGS)
