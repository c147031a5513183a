# Everything runs from .venv, which the first target that needs it makes.
PYTHON ?= python3
ARGS ?=
COVERAGE ?=
SECONDS ?= 60
RATE ?= 100

BIN := .venv/bin
VENV := .venv/.installed
FUZZER := .venv/.fuzzer
FUZZING := $(BIN)/pytest -q --timeout=0 --hypothesis-profile=default
# A process that ends in mid-test ends the run: its tests, run again elsewhere, may end the next.
SPREAD := -n 3 --dist loadfile --max-worker-restart=0
COVERED := --cov --cov-report=term --cov-fail-under=95
IMAGE := build/protos.binpb
PUBLISHED := build/published/protos.binpb
TYPED := src/transcoder src/services tests fuzz $(wildcard benchmarks) scripts demo

# Tests start hundreds of processes from one source: compiled once, they start sooner.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test check docs bench fuzz soak generate format build clean constraints
.PHONY: lint types contract fresh protos breaking

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV) ## Serve the example user service; pass options with ARGS="--help"
	@$(BIN)/python -m services.user $(ARGS)

demo: $(VENV) ## Show the gateway end to end; STEP=6 one step, HOLD=1 leaves it running
	@$(BIN)/python -m demo $(if $(STEP),--step $(STEP)) $(if $(HOLD),--hold) $(if $(DOCS),--docs docs)

test: $(VENV) $(PUBLISHED) ## Run every test, with COVERAGE=1 for twice as long; or ARGS="-k routing"
	$(BIN)/pytest $(or $(ARGS),$(SPREAD) $(if $(COVERAGE),$(COVERED)))

check: lint types contract fresh protos breaking ## Check style, types, imports, generated code, protos

docs: $(VENV) ## Make a site of docs/ in build/site; a broken link is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --quiet \
	  --doctree-dir build/doctrees docs build/site

bench: $(VENV) ## Run every benchmark; the end names those that missed a gate
	@missed=; for script in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$script"; $(BIN)/python "$$script" || missed="$$missed $$script"; \
	done; test -z "$$missed" || { echo "missed:$$missed"; exit 1; }

fuzz: $(FUZZER) ## Fuzz what reads foreign bytes, each target for SECONDS=60
	JSON_CASES=100000 $(FUZZING) tests/protojson/test_differential.py
	PATH_CASES=100000 $(FUZZING) tests/policies/test_same_path.py
	@for target in $(notdir $(wildcard fuzz/corpus/*)); do \
	  echo "== $$target"; $(BIN)/python fuzz/run.py $$target -max_total_time=$(SECONDS) || exit 1; \
	done

soak: $(VENV) ## Load a server with everything on for SECONDS=60, and see what grows
	$(BIN)/python scripts/soak.py --seconds $(SECONDS) --rate $(RATE)

generate: $(VENV) ## Write the Python code of the protos
	$(BIN)/python scripts/generate.py

format: $(VENV) ## Format Python and protos
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format proto --write

build: $(VENV) ## Build wheel and sdist into dist/
	$(BIN)/python -m build --no-isolation

constraints: ## Pin the newest versions that fit in constraints.txt
	$(PYTHON) scripts/constraints.py

clean: ## Remove what make built, and .venv
	rm -rf .venv build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
	  .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lint: $(VENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)
	$(BIN)/mypy $(TYPED)

contract: $(VENV)
	$(BIN)/lint-imports --no-logo --no-cache

fresh: $(VENV)
	$(BIN)/python scripts/generate.py --check

protos: $(VENV)
	@$(BIN)/python scripts/protoc.py $(IMAGE)
	$(BIN)/buf lint $(IMAGE) $(patsubst proto/%,--path=%,$(wildcard proto/*))
	$(BIN)/buf format proto --diff --exit-code

breaking: $(VENV)
	@$(BIN)/python scripts/breaking.py

$(VENV): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3'; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 \
	  || $(PYTHON) -m venv .venv \
	  || { echo 'venv is needed: on Debian, apt-get install python3-venv'; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable .
	@touch $@

$(FUZZER): $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --only-binary atheris \
	  --group fuzz 2>/dev/null \
	  || { echo 'atheris has no build for this Python or machine: use another for fuzzing'; exit 1; }
	@touch $@

$(PUBLISHED): scripts/published.py | $(VENV)
	@$(BIN)/python scripts/published.py $@
