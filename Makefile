# `make run` and `make test` do everything, set-up included. `make help` lists the rest.

VENV := .venv/bin
DATA := data/polyid_properties.csv
# what `make run` predicts in the end: poly(lactic acid), nylon 6,6, poly(methyl methacrylate)
POLYMERS := '*OC(C)C(=O)*' '*NCCCCCCNC(=O)CCCCC(=O)*' '*CC(C)(C(=O)OC)*'
COMPILE := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-fast lint format lock images hooks setup setup-dev data clean

help:  ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' Makefile | \
		while IFS='|' read -r name text; do printf '%-12s %s\n' "$$name" "$$text"; done

run: setup data  ## data -> trained, gated, released to registry/, predicting (ARGS='--set key=value')
	$(VENV)/trainer run --data $(DATA) --params params.yaml --gates gates.yaml \
		--registry registry --publish $(ARGS)
	$(VENV)/polyid predict --model registry $(POLYMERS)

test: lint data  ## every check and every test (ARGS='tests/polyid -k fold')
	scripts/test.sh $(ARGS)

test-fast: lint data  ## the same without the slow tests
	$(VENV)/pytest -m 'not slow' $(ARGS)

lint: setup-dev  ## style, formatting, types, and locks in step with pyproject.toml
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/python scripts/locks.py check

format: setup-dev  ## put the code into its format, and mend what ruff can mend
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

lock: setup-dev  ## make the locks anew after a change of pyproject.toml (UPGRADE=1: newer versions)
	$(COMPILE) pyproject.toml --output-file requirements/runtime.lock
	$(COMPILE) pyproject.toml --group dev --constraints requirements/runtime.lock \
		--output-file requirements/dev.lock
	$(COMPILE) requirements/bootstrap.in --constraints requirements/dev.lock \
		--output-file requirements/bootstrap.lock
	$(COMPILE) requirements/image-serve.in --constraints requirements/runtime.lock \
		--overrides requirements/image-serve.override \
		--output-file requirements/image-serve.lock
	$(COMPILE) pyproject.toml requirements/image-train-cuda.in \
		--constraints requirements/runtime.lock \
		--output-file requirements/image-train-cuda.lock
	$(VENV)/python scripts/locks.py record

images: setup-dev  ## build both images (ACCELERATOR=cpu, BASE_IMAGE=..., IMAGES=serve), SBOMs to dist/
	@scripts/images.sh

hooks: setup-dev  ## check every commit with ruff and mypy before it is made
	$(VENV)/pre-commit install

setup:  ## only the set-up for `make run`
	@scripts/setup.sh runtime

setup-dev:  ## only the set-up for `make test`
	@scripts/setup.sh dev

data: setup  ## fetch data/ as data.dvc names it, where it is missing or another version
	@$(VENV)/python scripts/data.py

clean:  ## remove what runs and tests left; registry/, runs/ and .venv/ stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
