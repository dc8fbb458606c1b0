# The commands of this repository. `make` alone lists them.
PYTHON ?= python3
PY := .venv/bin/python
# Makes the environments that are named, where they are missing or their requirements have changed. Where one is a link
# to another checkout's, it says so: making it anew would empty that one.
SET_UP := $(PYTHON) tests/support/environments.py

.DEFAULT_GOAL := help
.PHONY: help setup package docs pins lint check test mutants explore demo playground bench live live-clean clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make the Python environments that the other commands need
	@$(SET_UP) dev lambda checks demo

package: ## build dist/park_volumes.zip from lambda_src
	$(PYTHON) lambda_src/build.py dist/park_volumes.zip

docs: ## bring the generated tables in README.md up to date
	@$(SET_UP) dev
	@PYTHONPATH=lambda_src $(PY) -m tests.support.readme

pins: ## pin requirements/*.in anew, with hashes (UPGRADE=--upgrade: the newest versions)
	@$(SET_UP) pins
	@cd requirements && for name in lambda demo dev checks pins; do \
		../.venv-pins/bin/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes $(UPGRADE) \
			--output-file=$$name.txt $$name.in || exit 1; done

lint: ## static checks: ruff, mypy, bandit, import-linter, terraform fmt, checkov
	@$(SET_UP) dev checks
	@$(PY) -m tests.support.suite lint

check: ## what to run after every change: static checks but checkov, unit tests, a short exploration
	@$(SET_UP) dev lambda checks
	@$(PY) -m tests.support.suite check

test: setup ## everything: static checks, unit tests, exploration, Terraform, deployed tests
	@$(PY) -m tests.support.suite test

mutants: ## faults put at random into the code, which the unit tests must find (SEED=1, NUMBER=300, ROOM=core)
	@$(SET_UP) dev lambda checks
	@$(PY) -m tests.mutation

explore: ## random schedules against the model, and anything in tags and messages: SCHEDULES=1000000 SEED=1 EXAMPLES=100000
	@$(SET_UP) dev
	@PYTHONPATH=lambda_src $(PY) -m tests.explore

demo: ## park and start three instances on a local AWS, with a real terraform apply (KEEP=1: leave it running)
	@$(SET_UP) demo lambda
	@PYTHONPATH=lambda_src .venv-demo/bin/python -m tests.demo

playground: ## an account to play with on a local AWS, with the page, until Ctrl-C
	@$(SET_UP) demo lambda
	@exec env PYTHONPATH=lambda_src .venv-demo/bin/python -m tests.demo.playground

bench: ## what it costs and how long it takes, beside two other ways, and a burst (INSTANCES=10000)
	@$(SET_UP) dev lambda
	@PYTHONPATH=lambda_src $(PY) -m tests.bench

live: ## ask AWS itself, in your account: says first what it makes, costs and takes (REGION=eu-west-1, SUBNET=, KEY_ID=, YES=1)
	@test -n "$(REGION)" || { echo "Name a region: make live REGION=eu-west-1" >&2; exit 2; }
	@$(SET_UP) dev
	@PYTHONPATH=lambda_src $(PY) -m tests.live run --region "$(REGION)" --subnet "$(SUBNET)" --key-id "$(KEY_ID)" \
		$(if $(YES),--yes)

live-clean: ## remove what a run of `make live` has left, because its computer failed (RUN=eu-west-1-1128202214-3f2a)
	@test -n "$(RUN)" || { echo "Name the run: make live-clean RUN=eu-west-1-1128202214-3f2a" >&2; exit 2; }
	@$(SET_UP) dev
	@PYTHONPATH=lambda_src $(PY) -m tests.live clean --run "$(RUN)"

clean: ## remove environments and caches
	rm -rf .venv .venv-lambda .venv-demo .venv-checks .venv-pins .bindings .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
