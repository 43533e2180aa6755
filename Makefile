# `make help` lists what the targets do; `python3 -m lab` does the work, also where there is no make.
# STACK, PIN and the other variables reach it through the environment.
PYTHON ?= python3
LAB = @exec $(PYTHON) -m lab
# With these of a user's shell Python finds no module in this folder, or drops the lab's docstrings.
unexport PYTHONSAFEPATH PYTHONOPTIMIZE

.PHONY: help up down env setup test test-fast test-versions test-stores test-examples lint \
	soak contract stores bench false-alarms mutants lock raise lab lab-stop clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

up: ## bring a stack up, set-up included: make up [STACK=name]
	$(LAB) up

down: ## destroy a stack and prove that nothing is left: make down [STACK=name]
	$(LAB) down

setup: ## make what `make up` needs on this machine, and start no stack [STACK=name]
	$(LAB) setup

env: ## print what a shell needs, and make nothing: eval "$(make -s env)" [STACK=name]
	$(LAB) env

test: ## all checks, the quick ones first
	$(LAB) test

test-fast: ## the checks that need neither Pulumi nor Docker
	$(LAB) test-fast

test-versions: ## a traced pod start on every Kubernetes that the lab can build
	$(LAB) test-versions

test-stores: ## stacks with each trace store: restarts, keeping, clusters that exist, a lack of memory
	$(LAB) test-stores

test-examples: ## the examples, with Pulumi's Kubernetes plugin: built once, 14 min on two cores
	$(LAB) test-examples

lint: ## Python, shell, YAML, spelling, workflows and their schemas
	$(LAB) lint

soak: ## kills, generated configurations, random changes, rounds of up and destroy: all of them
	$(LAB) soak

contract: ## ktrace's searches on real Jaegers with memory, Badger, OpenSearch, Elasticsearch and Cassandra
	$(LAB) contract

stores: ## a million spans into each trace store, and OpenSearch's manager killed under load
	$(LAB) stores

bench: ## what ktrace costs, and a stack beside the same made by hand
	$(LAB) bench

false-alarms: ## how often `ktrace diff` tells a difference where nothing was changed, in 20 comparisons
	$(LAB) false-alarms

mutants: ## change the code in 150 places: do the tests notice? [MUTANTS=30 or all]
	$(LAB) mutants

raise: ## raise a pinned release wherever it is written: make raise PIN=k3d VERSION=5.9.1 [MODULE=v...]
	$(LAB) raise

lock: ## write requirements*.txt from requirements*.in: every package with its hashes
	$(LAB) lock

lab: ## build everything that a machine without registries needs, and start nothing
	$(LAB) lab

lab-stop: ## stop the private Docker daemon with all that runs in it
	$(LAB) stop

clean: ## remove everything that the lab has made
	$(LAB) clean
