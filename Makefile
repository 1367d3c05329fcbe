# `make table2`, `make results/FILE`, `make study`, `make plan` and `make test`. Each sets up .venv
# on its first call.
SCALE ?= demo
CORES ?=
MIRROR ?=
STUDY ?=
SET ?=
REPLICATES ?=
FINETUNING_SEEDS ?=
FLOPS ?=
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
  $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2> /dev/null)))

# Rules of the study call `python` by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# What was typed goes through the environment, where neither make nor a shell reads it again.
define AS_TYPED
override $(1) := $$(value $(1))
export $(1)
endef
$(foreach name,SCALE CORES MIRROR STUDY SET REPLICATES FINETUNING_SEEDS FLOPS,$(eval $(call AS_TYPED,$(name))))

# What a result is built from; empty variables leave the choice to the scale and the machine.
CHOICES = --scale="$$SCALE" $${STUDY:+--study="$$STUDY"} $${SET:+--set="$$SET"} \
  $${MIRROR:+--mirror="$$MIRROR"} $${CORES:+--cores="$$CORES"} \
  $${FINETUNING_SEEDS:+--finetuning-seeds="$$FINETUNING_SEEDS"}

.PHONY: help table2 study plan test FORCE
help:
	@echo "make table2   build results/table2.csv; runs again where it was interrupted"
	@echo "make results/table1.csv    the same of any result"
	@echo "make study    build all results, with five replicates"
	@echo "make plan     print what all results will cost; trains nothing"
	@echo "                SCALE=demo         a file of config/scales/"
	@echo "                REPLICATES=        pre-training seeds (the scale's own; study: 5)"
	@echo "                FINETUNING_SEEDS=  fine-tuning seeds of each (the scale's own)"
	@echo "                CORES=             CPU cores to use (all)"
	@echo "                MIRROR=            a folder in the hub's layout; without it, download"
	@echo "                STUDY=             a study file of your own"
	@echo "                SET=               keys of the study for this call, like base.steps=100"
	@echo "                FLOPS=             FLOP/s of one device, for the plan"
	@echo "make test     run the tests"

table2: .venv/installed
	@exec .venv/bin/python -m study.watch results/table2.csv $(CHOICES) $${REPLICATES:+--replicates="$$REPLICATES"}
	@cat results/table2.md

results/%: .venv/installed FORCE
	@exec .venv/bin/python -m study.watch '$@' $(CHOICES) $${REPLICATES:+--replicates="$$REPLICATES"}

study: .venv/installed
	@exec .venv/bin/python -m study.watch all $(CHOICES) --replicates="$${REPLICATES:-5}"
	@echo "all of it, to read: results/report.html"

# FLOPS: what one device reaches; without it the scale's hardware counts, or a short measurement.
plan: .venv/installed
	@exec .venv/bin/python -m snakemake --quiet all --cores "$${CORES:-all}" --config scale="$$SCALE" \
	  $${STUDY:+study="$$STUDY"} $${SET:+set="$$SET"} $${MIRROR:+mirror="$$MIRROR"} \
	  $${REPLICATES:+replicates="$$REPLICATES"} \
	  $${FINETUNING_SEEDS:+finetuning_seeds="$$FINETUNING_SEEDS"} \
	  $${FLOPS:+flops="$$FLOPS"} -- results/plan.csv > /dev/null
	@cat results/plan.md

test: .venv/installed-dev
	exec .venv/bin/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

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
