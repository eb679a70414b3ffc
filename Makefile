# Everything a newcomer, a colleague and CI run. Only Python 3.11+ and make are needed; the first call of a target
# fetches the locked, hash-checked packages, after that all of it works offline.
PYTHON ?= python3
BIN := .venv/bin
RUN := .venv/.run-installed
DEV := .venv/.dev-installed
FUZZ := .venv/.fuzz-installed
.DEFAULT_GOAL := help
.PHONY: help setup run test check format lint types imports schemas validate docs lock bench faults sinkfaults mutants fuzz soak clean senders

help:            ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## +/|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is %s. Say make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv

$(RUN): requirements/run.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV): requirements/dev.lock $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

$(FUZZ): requirements/fuzz.lock $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.lock
	@touch $@

setup: $(DEV)    ## the virtual environment with everything in it

run: $(RUN)      ## start the gateway in dev mode on 127.0.0.1:8080
	@$(BIN)/gateway serve --dev

test: $(DEV)     ## every test
	$(BIN)/python -m pytest

check: $(DEV) lint types imports schemas validate test   ## what CI runs

format: $(DEV)   ## put the code in shape
	$(BIN)/ruff format gateway tests benchmarks
	$(BIN)/ruff check --fix gateway tests benchmarks

lint: $(DEV)     ## format and lint
	$(BIN)/ruff format --check gateway tests benchmarks
	$(BIN)/ruff check gateway tests benchmarks

types: $(DEV)    ## mypy, strict
	$(BIN)/mypy gateway

imports: $(DEV)  ## who may import whom
	$(BIN)/lint-imports

schemas: $(RUN)  ## the JSON Schemas are what the structs say
	$(BIN)/gateway schema --check schemas

validate: $(RUN) ## the shipped files are right and mean what their tests say
	$(BIN)/gateway validate providers.d sinks.d examples
	$(BIN)/gateway test

docs: $(DEV)     ## renew what is made from the code: the reference and the JSON Schemas
	$(BIN)/gateway schema --write schemas
	$(BIN)/gateway reference > docs/reference.md

senders:         ## install the senders of tests/e2e that run on Node (needs npm)
	cd tests/e2e/node && npm ci --no-audit --no-fund --ignore-scripts && npm run --silent unpack

lock:            ## renew the locks (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build pyproject.toml -o requirements/run.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build --group dev pyproject.toml -o requirements/dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build --all-extras -c requirements/dev.lock pyproject.toml -o requirements/image.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group bench -c requirements/dev.lock pyproject.toml -o requirements/bench.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build --group dev --group fuzz -c requirements/dev.lock pyproject.toml -o requirements/fuzz.lock

bench: $(DEV)    ## measure: P1 to P9 as ratios and where the time goes, in about ten minutes
	$(BIN)/python -m benchmarks

sinkfaults: $(DEV) ## what a sink may do to us, and what comes of it: a table
	PYTHONPATH=tests $(BIN)/python -m tests.e2e.sink_faults

mutants: $(DEV)  ## each guard taken away, one by one: its test must fail
	$(BIN)/python -m tests.mutants

faults: $(DEV)   ## every write, read and sync refused once, the power lost 200 times, instead of CI's samples
	FAULT_POINTS=all POWER_SEEDS=200 $(BIN)/python -m pytest tests/store/test_store_faults.py tests/store/test_store_power.py -s

fuzz: $(FUZZ)    ## atheris on what reads strangers' bytes, schemathesis on the API: a minute, or FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz

soak: $(DEV)     ## 50 kills under load instead of CI's 5
	SOAK_KILLS=50 $(BIN)/python -m pytest tests/e2e/test_kill.py -s

clean:           ## forget the virtual environment
	rm -rf .venv
