# `make help` explains the targets. Each one creates .venv and installs what it needs.
PYTHON ?= python3
ARGS ?=
ITEM ?=
RUN ?= latest
COMPARE ?= catalog.num_items=2500 seed=0,1,2
COMPARISON := outputs/compare/$(shell date +%Y-%m-%d_%H-%M-%S)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help train similar test soak kernels lint types docs check compare tensorboard prune bench clean

help:  ## show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

train: $(BIN)/.train  ## train and evaluate; overrides go into ARGS, as in make train ARGS="seed=1"
	$(BIN)/python train.py $(ARGS)

similar: $(BIN)/.train  ## show similar items by the newest run, as in make similar ITEM="deluxe cork bottle norvex"
	$(BIN)/python -m recsys_lab similar $(ARGS) -- $(RUN) '$(subst ','\'',$(ITEM))'

test: $(BIN)/.dev  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(BIN)/.dev  ## run the slow tests, which `make test` leaves out
	$(INSTALL) -e '.[sweep,ray]' ranx
	$(BIN)/python -m pytest -m soak $(ARGS)

lint: $(BIN)/.dev  ## style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.dev  ## static types
	$(BIN)/mypy

docs: $(BIN)/.docs  ## build the documentation into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Two targets at a time, since each of the four keeps only one core busy.
check: $(BIN)/.dev $(BIN)/.docs  ## lint, types, documentation and tests: what continuous integration runs
	$(MAKE) --jobs=2 lint types kernels docs
	$(MAKE) test

kernels: $(BIN)/.dev
	$(BIN)/python -m recsys_lab compile

compare: $(BIN)/.train  ## run all presets with three seeds and compare them; COMPARE="..." overrides
	-$(BIN)/python train.py -m 'experiment=glob(*,exclude=[airbnb,events_*])' hydra.sweep.dir=$(COMPARISON) \
	    trainer.enable_progress_bar=false $(COMPARE)
	$(BIN)/python -m recsys_lab.report $(COMPARISON)

tensorboard: $(BIN)/.train  ## show the curves of all runs, or of a sweep: make tensorboard LOGDIR=...
	$(BIN)/tensorboard --logdir $(or $(LOGDIR),outputs/train)

prune: $(BIN)/.train  ## show unfinished runs and unused prepared data, and remove them if you agree
	$(BIN)/python -m recsys_lab prune $(ARGS)

bench: $(BIN)/.bench  ## measure against peers, as in make bench ARGS="walks --size electronics"
	$(BIN)/python -m benchmarks $(or $(ARGS),train)

clean:  ## remove the environment, the site and the caches; results stay
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(BIN)/.train: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the project into .venv (once)"
	$(INSTALL) -e .
	@echo "compiling the kernels (once; a minute or less)"; $(BIN)/python -m recsys_lab compile || true
	@touch $@

$(BIN)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the project and its development tools into .venv (once)"
	$(INSTALL) -e '.[dev]'
	@touch $@ $(BIN)/.train

$(BIN)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the project and what builds its documentation into .venv (once)"
	$(INSTALL) -e '.[docs]'
	@touch $@ $(BIN)/.train

$(BIN)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the project and the peers of its benchmarks into .venv (once)"
	$(INSTALL) -e '.[bench]'
	@touch $@ $(BIN)/.train
