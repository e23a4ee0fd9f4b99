# make app    install what is needed, once, and open the dashboard
# make test   install what is needed, once, and run every test
# make quick  the tests without browsers, processes and model libraries, in a minute
# make check  formatting, lint, types, and which room may import which
# make docs   the pages of docs/ and the API reference, in build/docs
# make links  whether the external links of README and docs lead somewhere (asks the network)
# make audit  rules against unsafe code, and known holes of what is installed (asks the network)
# make benchmark, make screenshots: what the README shows

PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test quick check docs links audit benchmark screenshots

app: .venv/app
	$(BIN)/streamlit run app.py

test: .venv/dev
	$(BIN)/python -m pytest

quick: .venv/dev
	$(BIN)/python -m pytest --quick -n 2 --durations=10 --durations-min=0.5

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: .venv/dev
	$(BIN)/mkdocs build --strict

links:
	$(PYTHON) docs/external_links.py

audit: .venv/dev
	$(BIN)/ruff check --select S .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --strict --requirement requirements.txt

benchmark: .venv/dev
	$(BIN)/python -m benchmarks

screenshots: .venv/dev
	$(BIN)/python assets/screenshots.py

# The marks are as new as the lists they were installed from, so a second call installs nothing.
# Python may not be able to write compiled files later; without them, each start takes a fifth of a
# second longer.
.venv/app: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m compileall -q app.py emap_core pages
	touch $@

.venv/dev: requirements-dev.txt .venv/app
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
