# `make run` and `make test` do all their own set-up; `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAGE  ?= configs/stages/1k.yaml
RUN    ?= checkpoints/1k

# A failure on the left of a pipe is one. Unbuffered, pip's progress is seen while it goes on; what it warns of is shown
# where it fails, and otherwise kept in setup.log.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PIP   = PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check

.PHONY: help setup run learn test test-all wheel check lint format types bench cluster-up cluster-down clean

help:            ## what each target does
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(VENV)/.ready   ## create the virtual environment with the pinned packages

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "set-up, once: about 90 packages into $(VENV), a few minutes"
	$(PYTHON) -m venv $(VENV)
	@$(PIP) --quiet --upgrade pip 2>$(VENV)/setup.log && \
	$(PIP) -c constraints.txt -e '.[dev]' 2>>$(VENV)/setup.log | \
	{ while IFS= read -r -t 5 line; s=$$?; [ $$s = 0 -o $$s -gt 128 ]; do case $$line in \
	  Collecting* | Processing*) printf '\r%d packages found ' $$((++n)) ;; Installing*) printf '\ninstalling ' ;; \
	  *) if [ $$s != 0 ]; then printf .; fi ;; esac; done; echo; } || \
	{ cat $(VENV)/setup.log >&2; exit 1; }
	touch $@

run: setup       ## the main job: the 1K validation run on the embedded simulator
	$(BIN)/td3-hpc train $(STAGE) --run-dir $(RUN)

learn: setup     ## three seeds of the 5K stage, in which the policy learns to drive; goes on where it was stopped
	$(BIN)/td3-hpc campaign submit configs/campaigns/learn.yaml --cluster local

# A worker whose process is aborted, as the client library may do, ends the run with its test's name: pytest-xdist 3.8
# waits for ever for the worker that takes its place. The files' order is that of tests/conftest.py.
test: setup      ## what CI runs: every test but the long ones
	$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test-all: setup  ## every test, the long ones included; those of Slurm on both versions of the test cluster
	$(BIN)/python -m pytest
	TD3_HPC_CLUSTER_SLURM=24.11 $(BIN)/python -m pytest tests/slurm

wheel: setup     ## dist/*.whl, to be used without a clone (docs/start.md)
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

check: setup     ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup    ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup     ## every benchmark, as ratios; minutes each
	$(BIN)/python -m benchmarks

cluster-up: setup  ## a real Slurm of three nodes on this machine, Apptainer, and the jobs' image (docs/test-cluster.md)
	$(PYTHON) slurm/testcluster up
	@$(MAKE) --no-print-directory containers/embedded.sif

containers/embedded.sif: constraints.txt pyproject.toml containers/debian.def containers/embedded.def
	$(BIN)/td3-hpc container build embedded

cluster-down:    ## end its jobs and daemons, remove its directory
	$(PYTHON) slurm/testcluster down

clean:           ## remove the virtual environment and caches (runs are kept)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
