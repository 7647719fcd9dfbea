# Every target works from a fresh checkout with Python 3.11+ and its venv, git >= 2.38 and make, as any user.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install dev run test check bench figures clean lock

help:
	@echo "make run      start a server with a demo organisation on 127.0.0.1:8080"
	@echo "make test     set up everything and run all tests; TEST_OPTIONS='-k clone' goes to pytest"
	@echo "make check    lint, type-check and the quick tests"
	@echo "make install  make $(BIN)/packhouse"
	@echo "make bench    measure; BENCH='commits reads' chooses sections, REPOS=100000 the size of many_repositories"
	@echo "make figures  count modules, imports, lines and the ways of a push and a commit; FOLDER=… takes another checkout"
	@echo "make lock     pin the dependencies anew (needs uv)"
	@echo "make clean    remove what these targets made"

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Packhouse needs Python 3.11 or newer; choose one with make PYTHON=python3.x" >&2; exit 1; }
	@.ci/step "Making $(VENV) with $$($(PYTHON) --version)" $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python cannot make a virtual environment; on Debian install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements/build.lock requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@.ci/pip "what Packhouse runs on" requirements/build.lock requirements/runtime.lock
	@.ci/step "Installing Packhouse itself" $(BIN)/python -m pip install --disable-pip-version-check --no-input \
	  --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements/dev.lock
	@.ci/pip "what the tests run on" requirements/dev.lock
	@touch $@

run: install
	$(BIN)/packhouse demo

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m quick

test: dev
	@./.ci/test $(TEST_OPTIONS)

bench: dev
	$(BIN)/python -m bench $(BENCH) $(if $(REPOS),--repos $(REPOS))

figures:
	@$(PYTHON) -m bench.structure $(FOLDER)

lock:
	uv pip compile -q requirements/build.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/build.lock
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/runtime.lock
	uv pip compile -q pyproject.toml requirements/dev.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/dev.lock
	uv pip compile -q requirements/node.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/node.lock
	uv pip compile -q requirements/servers.in --no-deps --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/servers.lock
	npm install --prefix tests/js --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved
	$(PYTHON) tests/js/strip_lock.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf tests/js/node_modules
