# One word a job. Every target works from a fresh clone: the virtual environment is made where it is missing.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# pip alone finds a CPU wheel of torch that lies beside the index; no other installer is used.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test lint types docs docs-check lock bench clean

help:  ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | sort

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Broadsheet needs Python 3.11 or newer; $(PYTHON) is older. Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than the lock it was made from, so a second call installs nothing.
$(VENV)/.site: $(BIN)/python requirements/site.lock pyproject.toml
	@test -e $(VENV)/.dev || echo "Installing the site (once) …"
	@test -e $(VENV)/.dev || $(PIP) install --no-deps -r requirements/site.lock
	@test -e $(VENV)/.dev || $(PIP) install --no-deps -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.lock pyproject.toml
	@echo "Installing everything, torch included (once) …"
	$(PIP) install -r requirements/dev.lock
	$(PIP) install --no-deps -e .
	@touch $@

run: $(VENV)/.site  ## from nothing to the site on http://127.0.0.1:8000
	@$(BIN)/broadsheet serve --port $(PORT)

test: $(VENV)/.dev  ## from nothing to the whole test suite
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

lint: $(VENV)/.dev  ## style, types and the one-way imports
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint

docs: $(VENV)/.dev  ## the manual, strictly, into build/manual
	@$(BIN)/python scripts/generate_docs.py
	@$(BIN)/mkdocs build --strict --quiet --site-dir build/manual
	@echo "The manual: build/manual/index.html"

lock: $(BIN)/python  ## pin every dependency again
	$(PIP) install pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links \
		--upgrade --extra site -o requirements/site.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
		--upgrade --extra dev -c requirements/constraints.in -o requirements/dev.lock pyproject.toml
	@# A wheel's build tag ("+cpu") names no release that an index has; without it every build of the release fits.
	@# The extras name each other through the project itself, which is installed from the checkout, not from the lock.
	sed -i.bak -E -e 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' -e '/^broadsheet @/{N;d;}' requirements/dev.lock && rm requirements/dev.lock.bak

clean:  ## remove what can be made again (not your data)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
