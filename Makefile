# Thin on purpose: what the targets do is in deploy/local/ (python -m deploy.local.stack --help).
.DEFAULT_GOAL := help
.PHONY: help setup up down clean status demo test check bench

PYTHON ?= python3
VENV := .venv/bin/python

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -m deploy.local.bootstrap

up: setup ## start the stack and wait until it is ready; .local/waybill.env says where everything is
	@$(VENV) -m deploy.local.stack up

down: ## stop the stack; the data is kept
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.local.stack down

clean: ## stop the stack and wipe its data
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.local.stack clean

status: ## what runs
	@[ ! -x $(VENV) ] || $(VENV) -m deploy.local.stack status

demo: up ## load sample data and run exports over HTTP and over Kafka; leaves the stack up
	@$(VENV) -m deploy.local.demo

test: setup ## every test, on a stack of its own; ARGS="tests/unit -k name" picks some
	@$(VENV) -m deploy.local.testing $(ARGS)

check: ## formatting, lint, types, import rules, schemas, generated pages
	@$(PYTHON) -m deploy.local.bootstrap --python-only
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(VENV) -m tools.check_schemas
	$(VENV) -m tools.metrics_catalogue

bench: setup ## speed side by side with peers; writes the table of docs/benchmarks.md
	@$(VENV) -m tests.bench
