# Two commands: `make table2` and `make test`. Each sets up .venv on its first call.
SCALE ?= laptop
CORES ?= all
MIRROR ?=
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
  $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2> /dev/null)))

# Rules of the study call `python`, and torch's launcher, by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help table2 test
help:
	@echo "make table2   build results/table2.csv from text; runs again where it was interrupted"
	@echo "                SCALE=$(SCALE)   a file of config/scales/"
	@echo "                CORES=$(CORES)      CPU cores to use"
	@echo "                MIRROR=         a folder in the hub's layout; without it, download"
	@echo "make test     run the tests"

table2: .venv/installed
	snakemake --cores $(CORES) --rerun-incomplete --quiet host rules \
	  --config scale=$(SCALE) $(if $(MIRROR),mirror='$(MIRROR)') -- results/table2.csv
	@cat results/table2.md

test: .venv/installed-dev
	python -m pytest

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer not found; name it: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "no virtual environment made (on Debian: apt-get install python3-venv)"; exit 1; }

.venv/installed: requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --requirement requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --requirement requirements-dev.txt
	touch .venv/installed $@
