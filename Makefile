# Every target sets up what it needs in .venv, from the lock, and says what it is doing.
# PYTHON chooses the interpreter (3.11, 3.12 or 3.13); ARGS goes to `make demo`; ONLY and DATA to `make evidence`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=
ONLY ?=
DATA ?=
export TF_CPP_MIN_LOG_LEVEL ?= 2
# As the commands themselves do: TensorFlow's oneDNN kernels change the order of sums with the processor.
export TF_ENABLE_ONEDNN_OPTS ?= 0
# Tests fit small models beside brokers and workers: a second OpenMP thread only waits for a core.
test test-%: export OMP_NUM_THREADS ?= 1

# Hashes are checked in both ways; uv is only quicker.
ifdef UV
INSTALL = $(UV) pip install --python $(BIN)/python --quiet --require-hashes -r
INSTALL_SELF = $(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
else
INSTALL = $(BIN)/python -m pip install --quiet --require-hashes -r
INSTALL_SELF = $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endif

.DEFAULT_GOAL := help
.PHONY: help demo test lint coverage bench bench-gpu evidence lock clean

help:  ## what can be made
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/^test-%/test-ROOM/' | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/cpu.done  ## see it work: an embedded broker, a stream, a first model, a live view
	@$(BIN)/streamscore demo $(ARGS)

test: $(VENV)/dev.done lint  ## everything CI runs: lint, then all tests, on Apache Kafka too
	@echo "== tests"
	@# Three at a time, also on two processors: many wait for brokers and workers. A file's tests share what they start, so
	@# they stay together; in the order of their names, so that those with a broker, few and long, are not left for the end,
	@# where one waits for another.
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# ROOM is a part of a path below tests/: history, kafka, trainer/fitting, test_gates …
test-%: $(VENV)/dev.done  ## the tests of one room, e.g. make test-history, in seconds
	@files=$$(find tests -path '*$**' -name 'test_*.py' | sort); \
	test -n "$$files" || { echo "no test's path contains '$*'; rooms are the folders of tests/unit"; exit 2; }; \
	$(BIN)/python -m pytest -q $$files

lint: $(VENV)/dev.done  ## ruff, mypy, import contracts, the site of the docs
	@echo "== lint"
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports >/dev/null || { $(BIN)/lint-imports; exit 1; }
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

coverage: $(VENV)/dev.done  ## branch coverage of streamscore/core, numba's compiler off: at least 98 %
	@echo "== coverage of the core"
	@mkdir -p build
	@# Sums wrap in 64 bits by design; interpreted, each wrap is a warning of numpy's.
	@NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -q -p no:cacheprovider -W ignore::RuntimeWarning tests/unit/core > build/coverage.log 2>&1 \
	  || { tail -40 build/coverage.log; exit 1; }
	@$(BIN)/coverage report

bench: $(VENV)/dev.done  ## speed on Apache Kafka as ratios within one run: build/bench.json
	@echo "== bench"
	@$(BIN)/python -m tests.bench

bench-gpu: $(VENV)/dev.done  ## rows/s of the compiled scorer on a GPU, where there is one
	@$(BIN)/python -m tests.bench.gpu

evidence: $(VENV)/dev.done  ## the long form of every guarantee: build/evidence.json; ONLY=name for one
	@echo "== evidence"
	@DATA=$(DATA) $(BIN)/python -m tests.evidence $(ONLY)

lock: $(VENV)/python.done  ## write requirements/*.txt anew from pyproject.toml (needs uv)
	@test -n "$(UV)" || { echo "make lock needs uv"; exit 1; }
	@for set in "cpu --extra build --extra cpu" "gpu --extra build --extra gpu" "dev --extra build --extra cpu --extra dev"; do \
	  set -- $$set; name=$$1; shift; echo "== requirements/$$name.txt"; \
	  $(UV) pip compile pyproject.toml "$$@" --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements/$$name.txt || exit 1; \
	done

clean:  ## remove what was built; .venv and the fetched broker stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/python.done:
	@echo "== a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "Python 3.11, 3.12 or 3.13 is needed (TensorFlow), this is " + sys.version.split()[0]'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/cpu.done: $(VENV)/python.done requirements/cpu.txt pyproject.toml
	@test -e $(VENV)/dev.done || { echo "== installing what StreamScore needs (about a minute and 2 GB, once)"; $(INSTALL) requirements/cpu.txt; }
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/dev.done: $(VENV)/python.done requirements/dev.txt pyproject.toml
	@echo "== installing what StreamScore and its tests need (about a minute and 2.5 GB, once)"
	@$(INSTALL) requirements/dev.txt
	@$(INSTALL_SELF)
	@touch $@
