# Everything runs from .venv, which scripts/install makes on the first call and leaves alone afterwards.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench clean

# The targets share one venv and one screen: `make -j2 lint test` must not install into it twice at once.
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## run telemill on real sensor data, with no Kafka needed
	@scripts/install
	@.venv/bin/telemill demo

# pytest comes last, so that the output ends with its summary line.
test: lint ## check style and types, then run all tests
	.venv/bin/pytest

lint: ## check style and types
	@scripts/install dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: ## rewrite the code in the house format, and fix what ruff can fix
	@scripts/install dev
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

docs: ## write docs/operators.md anew, from the operators themselves
	@scripts/install
	.venv/bin/telemill operators --markdown > docs/operators.md

bench: ## measure whole pipelines beside other systems, on a real Kafka; BENCH='--quick' for a small run
	@scripts/install dev
	.venv/bin/python -m benchmarks.throughput $(BENCH)

clean: ## remove all that was made: .venv, Kafka's jars, caches
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
