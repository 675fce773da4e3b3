# SPDX-License-Identifier: Apache-2.0
# Keyturn's commands. `make` alone lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.ready

#: State and keys of `make run`; ports of the three services.
STATE ?= .keyturn
KEYS ?= .keyturn-keys
VAULT_PORT ?= 8401
TRANSFER_PORT ?= 8402
AUDIT_PORT ?= 8403
#: Customers in the demonstration; empty means all of them.
LIMIT ?=
#: Evidence for `make verify-strangers`.
DIR ?= build/demo/evidence
#: Tests to run: `make test T=tests/unit`; in how many processes.
T ?= tests --ignore=tests/crash --ignore=tests/runbooks --ignore=tests/browser --ignore=tests/deploy
JOBS ?= 2
PYTEST_EXTRA ?=
#: Random kills of `make crash` and their seed, where not its own; more of its options.
CYCLES ?=
SEED ?=
CRASH ?=
#: What to measure: `make bench BENCH="--section reads"`.
BENCH ?=
#: What to attack: `make attack ATTACK="--only A1,T12"`, `ATTACK=--release`.
ATTACK ?=
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadgroup --timeout 300 $(PYTEST_EXTRA)
WORLD := build/scaled
#: Linters of deploy/, apart: they pin other versions of what the services use.
TOOLS := build/deploy-tools
KUSTOMIZE := sigs.k8s.io/kustomize/kustomize/v5@v5.7.1

PORTS := --vault-port $(VAULT_PORT) --transfer-port $(TRANSFER_PORT) --audit-port $(AUDIT_PORT)
LIMITED := $(if $(LIMIT),--limit $(LIMIT))

##@ Run

.PHONY: run
run: $(STAMP) ## Start Keyturn, run the demonstration, serve until Ctrl-C
	@echo "Starting the demonstration"
	@exec $(PY) -m deploy.demo run --state $(STATE) --keys $(KEYS) $(PORTS) $(LIMITED)

.PHONY: demo
demo: $(STAMP) ## The demonstration on fresh state under build/demo/, then stop; 0 only if all was verified
	@echo "Starting the demonstration"
	@exec $(PY) -m deploy.demo once --dir build/demo $(LIMITED)

##@ Test

.PHONY: test
test: $(STAMP) ## All tests on the embedded default (SQLite, embedded broker)
	$(PYTEST) $(T)

.PHONY: test-crash
test-crash: $(STAMP) ## Kill processes at every labelled point of a handover; bad days (several minutes)
	$(PYTEST) tests/crash

.PHONY: test-runbooks
test-runbooks: $(STAMP) ## Play every runbook, command by command, on a real installation (a quarter of an hour)
	$(PYTEST) --timeout 660 -m "not postgres" tests/runbooks

.PHONY: attack
attack: $(STAMP) ## Carry out every attack and planted fault; one table, build/attack/report.json (ATTACK="--only A4")
	@exec $(PY) -m tests.attack $(ATTACK)

.PHONY: crash
crash: $(STAMP) ## Kill and break at random under load, judge the history; build/crash/report.json (CYCLES=60)
	@command -v strace >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace >/dev/null; } || echo "strace is not here and cannot be installed: its fault is skipped"
	@exec $(PY) -m tests.crash.cycles --dir build/crash $(if $(CYCLES),--cycles $(CYCLES)) $(if $(SEED),--seed $(SEED)) $(CRASH)

.PHONY: test-scaled
test-scaled: $(STAMP) kcat ## Integration and end-to-end tests and the demonstration on PostgreSQL and Apache Kafka
	$(PY) -m deploy.worlds run --dir $(WORLD) -- bash -c '$(PYTEST) -m "postgres or kafka" tests/integration tests/attack tests/crash tests/runbooks tests/e2e tests/deploy && $(PY) -m deploy.demo once --scaled --dir build/demo-scaled $(LIMITED)'

.PHONY: kcat
kcat:
	@command -v kcat >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kcat >/dev/null; } || echo "kcat is not here and cannot be installed: its test is skipped"

.PHONY: test-browser
test-browser: $(STAMP) ## The API pages and the report page in a real Chromium without internet
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
	cd tests/browser && npm ci --ignore-scripts --no-audit --no-fund --silent
	$(BIN)/pytest tests/browser

.PHONY: test-deploy
test-deploy: $(STAMP) $(TOOLS)/.ready ## The packing: linters of image, compose, Kubernetes and systemd; what they start
	$(BIN)/pytest --timeout 300 -m 'not kafka and not postgres' tests/deploy

.PHONY: verify-strangers
verify-strangers: $(STAMP) ## Have other people's tools check DIR=build/demo/evidence
	@exec $(PY) -m deploy.strangers $(DIR)

##@ Build

.PHONY: client
client: $(STAMP) ## The wheel of the Python client for integrators, in build/client/
	@exec $(PY) -m deploy.client_wheel build/client

##@ Measure

.PHONY: bench
bench: $(STAMP) ## Ratios to a floor of the same run; build/bench/report.json (BENCH="--rounds 5 --section reads")
	@command -v wrk >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null; }
	@exec $(PY) -m deploy.bench --dir build/bench $(BENCH)

.PHONY: bench-large
bench-large: $(STAMP) ## Imports and a handover of a million customers, once; hours
	@exec $(PY) -m deploy.bench --dir build/bench-large --size 1000000 --rounds 1 --section imports --section custody $(BENCH)

##@ Check

.PHONY: check
check: $(STAMP) fmt-check lint types walls sizes contracts-check lock-check ## Format, lint, types, walls, sizes, generated contracts, lock

.PHONY: fmt
fmt: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

.PHONY: fmt-check
fmt-check: $(STAMP)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(STAMP)
	$(BIN)/ruff check .

.PHONY: types
types: $(STAMP)
	$(BIN)/mypy

.PHONY: walls
walls: $(STAMP)
	$(BIN)/lint-imports --no-cache

.PHONY: sizes
sizes:
	@long=$$(git ls-files -co --exclude-standard '*.py' ':!contracts/client/keyturn_client/models' ':!services/*/versions/*' | xargs wc -l | awk '$$1 > 400 && $$2 != "total"'); \
	if [ -n "$$long" ]; then echo "over 400 lines:"; echo "$$long"; exit 1; fi
	@bare=$$(git ls-files -co --exclude-standard '*.py' | xargs grep -L -m1 'SPDX-License-Identifier' || true); \
	if [ -n "$$bare" ]; then echo "no SPDX line:"; echo "$$bare"; exit 1; fi

.PHONY: contracts
contracts: $(STAMP) ## Generate OpenAPI, AsyncAPI, schemas, rule packs, deploy/SETTINGS.md and METRICS.md
	$(PY) -m services.cli.packs
	$(PY) -m deploy.contracts

.PHONY: contracts-check
contracts-check: $(STAMP)
	$(PY) -m services.cli.packs --check
	$(PY) -m deploy.contracts --check

.PHONY: lock
lock: $(STAMP) ## Compile requirements/*.lock from the *.in files
	bash requirements/compile.sh $(BIN)/uv

.PHONY: lock-check
lock-check: $(STAMP)
	bash requirements/compile.sh $(BIN)/uv --check

##@ Tidy

.PHONY: clean
clean: ## Remove build/ (never the state of `make run`)
	rm -rf build

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables, as in `make run LIMIT=60 STATE=/srv/k`\n'
	@printf '  %-14s %s\n' LIMIT 'Customers in the demonstration, 24 or more (all 2,087)' \
	  ATTACK 'Options of `make attack`: "--only A1,T12", --release' \
	  STATE 'State of `make run` ($(STATE)); its papers are in STATE-demo/' \
	  KEYS 'Keys of `make run` ($(KEYS)); never inside STATE' \
	  VAULT_PORT 'and TRANSFER_PORT, AUDIT_PORT: ports of `make run` ($(VAULT_PORT), $(TRANSFER_PORT), $(AUDIT_PORT))' \
	  DIR 'Evidence for `make verify-strangers` ($(DIR))' \
	  T 'Tests to run: `make test T=tests/unit`' \
	  JOBS 'Processes that run them ($(JOBS))' \
	  CYCLES 'and SEED: random kills of `make crash` (60; with CRASH=--release 2,000), and what they are drawn from' \
	  CRASH 'More of its options: `make crash CRASH="--only \"disk full\""`, `CRASH=--release`' \
	  VENV 'The Python environment ($(VENV))'

$(STAMP): requirements/dev.lock requirements/install.lock pyproject.toml
	@echo "Setting up $(VENV): about half a minute, once"
	@test -x $(PY) || { echo "  an environment of its own"; $(PYTHON) -m venv $(VENV); }
	@echo "  the installer (hash-pinned, from PyPI)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/install.lock
	@echo "  $$(grep -c '^[a-z].*==' requirements/dev.lock) packages (hash-pinned, from PyPI)"
	@$(BIN)/uv pip sync --quiet --python $(PY) --require-hashes requirements/dev.lock
	@echo "  Keyturn itself"
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

$(TOOLS)/.ready: requirements/deploy.lock $(STAMP)
	@echo "Setting up $(TOOLS): $$(grep -c '^[a-z].*==' requirements/deploy.lock) packages (hash-pinned, from PyPI)"
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(BIN)/uv pip sync --quiet --python $(TOOLS)/bin/python --require-hashes requirements/deploy.lock
	@command -v kubectl kustomize >/dev/null || ! command -v go >/dev/null || GOBIN=$(CURDIR)/$(TOOLS)/bin go install $(KUSTOMIZE)
	@command -v systemd-analyze >/dev/null || ! command -v apt-get >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd >/dev/null; }
	@touch $@
