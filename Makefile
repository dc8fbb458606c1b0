# The commands of this repository. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What the functions have in AWS and nothing else: the local AWS runs the deployed zip with it.
LAMBDA_VENV := .venv-lambda
# checkov and parliament, which need older libraries than the rest.
CHECKS_VENV := .venv-checks

.DEFAULT_GOAL := help
.PHONY: help setup package docs lint test explore demo bench clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/ready $(LAMBDA_VENV)/ready ## make the Python environments that the other commands need

# Where an environment is a link to another checkout's, making it anew would empty that one.
%/ready:
	@test ! -L $* || { echo "$* belongs to another checkout: install what has changed there, then touch $@"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.12"; exit 1; }
	@command -v terraform >/dev/null || { echo "terraform 1.9 or newer is needed on the PATH"; exit 1; }
	@echo "Setting up $* from $(filter %.txt,$^)"
	@$(PYTHON) -m venv --clear $*
	@$*/bin/python -m pip install --quiet --disable-pip-version-check $(foreach r,$(filter %.txt,$^),-r $(r))
	@touch $@

$(VENV)/ready: requirements/dev.txt
$(LAMBDA_VENV)/ready: requirements/lambda.txt
$(CHECKS_VENV)/ready: requirements/checks.txt

package: ## build dist/park_volumes.zip from lambda_src
	$(PYTHON) lambda_src/build.py dist/park_volumes.zip

docs: setup ## bring the generated tables in README.md up to date
	@PYTHONPATH=lambda_src $(PY) -m tests.support.readme

lint: setup $(CHECKS_VENV)/ready ## static checks: ruff, mypy, bandit, import-linter, terraform fmt, checkov
	@$(VENV)/bin/ruff check lambda_src tests
	@$(VENV)/bin/ruff format --check lambda_src tests
	@$(VENV)/bin/mypy
	@$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive lambda_src
	@PYTHONPATH=lambda_src $(VENV)/bin/lint-imports --no-cache
	@terraform fmt -check -recursive -diff
	@$(CHECKS_VENV)/bin/checkov --config-file .checkov.yaml

DEPLOYING := tests/deployed tests/browser tests/demo tests/drift tests/examples

test: lint ## everything: static checks, unit, model, Terraform and deployed tests
	@$(PY) -m pytest -n 2 --durations 10 tests/unit --cov
	@$(PY) -m pytest -n 2 --durations 10 tests/explore tests/bench
	@$(PY) -m tests.support.chromium
	@$(PY) -m pytest -n 2 --dist loadscope --no-loadscope-reorder --durations 10 $(DEPLOYING)

explore: setup ## random schedules against the model: SCHEDULES=1000000 SEED=1
	@PYTHONPATH=lambda_src $(PY) -m tests.explore

demo: $(VENV)/ready $(LAMBDA_VENV)/ready ## park and start three instances on a local AWS, with a real terraform apply (KEEP=1: leave it running)
	@PYTHONPATH=lambda_src $(PY) -m tests.demo

bench: setup ## what it costs and how long it takes, beside two other ways, and a burst (INSTANCES=10000)
	@PYTHONPATH=lambda_src $(PY) -m tests.bench

clean: ## remove environments and caches
	rm -rf $(VENV) $(LAMBDA_VENV) $(CHECKS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
