# Every target works from a fresh checkout with Python 3.11+, git >= 2.38 and make, as any user.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install dev run test check bench clean lock

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/.installed: requirements/runtime.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.lock -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

run: install
	$(BIN)/packhouse demo

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m quick

test: dev
	./.ci/test

bench: dev
	$(BIN)/python -m bench

lock:
	uv pip compile -q requirements/build.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/build.lock
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/runtime.lock
	uv pip compile -q pyproject.toml requirements/dev.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/dev.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
