# Everything that a user, a developer or CI runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What `make up` makes of this host; its own file: make up CONFIG=my.yaml
CONFIG ?= inventory/single/cluster.yaml
# More words for `kubeinstall init`: make up ARGS="-v --dry-run"
ARGS ?=

# Real servers that the tests talk to, beside what `kubeinstall init` itself installs.
TEST_PACKAGES := conntrack containerd containernetworking-plugins curl etcd-client etcd-server iproute2 \
	kmod nftables openssl procps runc
# What molecule/hosts.py makes hosts with.
HOST_PACKAGES := iproute2 mmdebstrap nftables openssh-client systemd-container
# What Molecule runs, each scenario on hosts of its own. `ha` is long: five hosts, from bare to backup, wipe and restore.
MOLECULE_LONG ?= ha
MOLECULE_JOBS ?= 3
# What `make test` runs of them: the hosts' roles and clusters of two hosts, within CI's time.
MOLECULE_CI ?= addons bootstrap component_runtime container_runtime join machine members servers upgrade
MOLECULE := $(BIN)/python molecule/run.py --jobs $(MOLECULE_JOBS)

.PHONY: help up down status venv bundle check format lint types unit roles packages test e2e test-join test-cluster \
	test-etcd test-apply \
	test-upgrade bench \
	wheel collection hosts molecule molecule-short lock clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

up: venv ## make a Kubernetes of this host (as root); safe to run again
	@$(BIN)/kubeinstall init --config $(CONFIG) $(ARGS)

down: venv ## take it off again; leaves nothing behind
	@$(BIN)/kubeinstall reset --force

status: venv ## how the components on this host do
	@$(BIN)/kubeinstall component status

venv: $(VENV)/.ready ## the virtual environment, everything pinned

$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "installing python3-venv"; \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-venv; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bundle: venv ## generate API type data and gRPC stubs
	$(BIN)/python -m kubeinstall.api.bundle

check: bundle format lint types roles unit ## the gate before each commit

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .

types:
	$(BIN)/mypy kubeinstall tests benchmarks

roles: venv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline --strict

unit:
	$(BIN)/pytest -q tests/unit

hosts: ## what the virtual hosts of Molecule are made with (as root)
	@test "$$(id -u)" = 0 || { echo "Molecule's hosts need root: run it with sudo, or as root" >&2; exit 2; }
	@missing=$$(for package in $(HOST_PACKAGES); do \
		dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done); \
	if [ -n "$$missing" ]; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi
	@$(PYTHON) molecule/hosts.py rootfs

molecule: venv bundle hosts ## every role and whole clusters, on virtual hosts (as root; see docs/molecule.md)
	$(MOLECULE)

molecule-short: venv bundle hosts ## all but the long ones: every role, and clusters of one and two hosts
	$(MOLECULE) $(addprefix --exclude ,$(MOLECULE_LONG))

packages: ## Debian packages that the tests need (as root)
	@missing=$$(for package in $(TEST_PACKAGES); do \
		dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done); \
	command -v kubectl >/dev/null || missing="$$missing kubernetes-client"; \
	if [ -n "$$missing" ]; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi

test: packages check hosts ## everything that CI runs (as root, on a machine of its own)
	$(BIN)/pytest -q tests -m "not e2e" --ignore tests/unit
	$(BIN)/pytest -q tests/e2e -m e2e
	$(MOLECULE) $(MOLECULE_CI)

e2e: venv packages ## only the end-to-end test: a whole cluster on this machine (as root)
	$(BIN)/pytest -v tests/e2e -m e2e

test-join: TEST_PACKAGES += mmdebstrap openssh-client systemd-container
test-join: venv packages ## hosts joined by hand to a cluster of real hosts: three, on this machine (as root)
	$(BIN)/pytest -v tests/join -m e2e

test-cluster: TEST_PACKAGES += mmdebstrap openssh-client systemd-container
test-cluster: venv packages ## clusters of real hosts on this machine: five, a sixth joins, one is killed (as root)
	KUBEINSTALL_CLUSTER_HOSTS=5 $(BIN)/pytest -v -x tests/cluster -m e2e

test-etcd: TEST_PACKAGES += mmdebstrap openssh-client systemd-container
test-etcd: venv packages ## etcd of three hosts on this machine: wiped and restored, keys rotated, a member lost (as root)
	$(BIN)/pytest -v -x tests/etcd_cluster -m e2e

test-apply: TEST_PACKAGES += mmdebstrap openssh-client systemd-container
test-apply: venv packages ## dry runs, bundles without a network, limits, Ctrl-C and reset, on three hosts (as root)
	$(BIN)/pytest -v -x tests/apply -m e2e

test-upgrade: TEST_PACKAGES += mmdebstrap openssh-client systemd-container
test-upgrade: venv packages ## upgrades, certificates and taking hosts off, on three hosts on this machine (as root)
	$(BIN)/pytest -v -x tests/upgrade -m e2e

bench: venv ## measure; see docs/benchmarks.md
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

wheel: venv ## the wheel, which carries playbooks and roles
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

collection: venv ## the Ansible collection kubeinstall.cluster, as Galaxy wants it
	$(BIN)/python galaxy/build.py dist

lock: venv ## renew requirements*.lock
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url \
		--strip-extras --output-file=requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url \
		--strip-extras --constraint=requirements.lock --output-file=requirements-dev.lock requirements-dev.in

clean: ## remove what make made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist kubeinstall/api/_bundle kubeinstall/_wire
