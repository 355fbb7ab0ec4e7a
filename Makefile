# mod_callpark: make help
SHELL := /bin/sh
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET_DIR)/release/libmod_callpark.so
FREESWITCH_PREFIX ?= $(shell scripts/find-freeswitch)
export FREESWITCH_PREFIX

.PHONY: help build test lint msrv deny audit rules examples sequences panics fuzz sanitize abi live page soak chaos run bench install uninstall clean deps deps-build has-deps has-deps-build

help: ## this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: has-deps-build ## the module: release/libmod_callpark.so in cargo's target folder
	$(CARGO) build --release

# What computes on one processor, or waits for the clock, is done beside something else.
test: deps ## everything, on what is installed here; installs with `make deps` what is missing
	$(MAKE) lint examples
	$(MAKE) --jobs=2 --output-sync=target sequences panics fuzz build SECONDS=30
	$(MAKE) abi
	$(MAKE) --jobs=2 live sanitize
	$(MAKE) page

lint: has-deps-build ## format, clippy, shellcheck where it is installed
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck scripts/* .ci/run; else echo "skipped: shellcheck is not installed"; fi

msrv: has-deps-build ## the module, with the oldest compiler that Cargo.toml promises, which rustup must have
	$(CARGO) +$(shell sed -n 's/^rust-version = "\([^"]*\)".*/\1/p' Cargo.toml) check --locked --lib

deny: ## licences, sources and duplicates of the dependencies, by cargo-deny
	$(CARGO) deny --all-features check bans licenses sources
	$(CARGO) deny --all-features --manifest-path tests/fuzz/Cargo.toml check --config deny.toml bans licenses sources

audit: ## known vulnerabilities of the dependencies, by cargo-audit
	$(CARGO) audit --deny warnings
	$(CARGO) audit --deny warnings --file tests/fuzz/Cargo.lock

rules: examples ## unit and property tests, simulated calls, panics on purpose; no FreeSWITCH
	$(MAKE) --jobs=2 --output-sync=target sequences panics

TESTED := --workspace --exclude benches # in which there is no test

examples: has-deps-build
	$(CARGO) test $(TESTED)

sequences:
	PROPTEST_CASES=100000 $(CARGO) test $(TESTED) --test rules no_sequence # as built for the examples

panics: # each says where it was, thousands of times; that is for when it failed
	@mkdir -p "$(TARGET_DIR)"
	RUST_BACKTRACE=0 $(CARGO) test --profile planted --features planted --test panics 2>"$(TARGET_DIR)/panics.log" || { tail -n 60 "$(TARGET_DIR)/panics.log"; exit 1; }

fuzz: has-deps-build ## random text against every parser, for SECONDS (60) each, and bugs on purpose that it must find
	scripts/fuzz $(or $(SECONDS),60)

sanitize: has-deps-build ## the module under the address, leak and thread sanitizer, the rules under Miri, and bugs on purpose
	nice -n 19 scripts/sanitize # of the processors, what the live tests beside it leave

abi: has-deps-build ## our headers against those of every installed FreeSWITCH
	scripts/prove-abi

live: has-deps build ## real calls on a real FreeSWITCH
	@[ -z "$(FREESWITCH_PREFIX)" ] || $(CARGO) build --profile planted --features planted --lib --test panics # as `rules` does: alone, its libraries would be others
	CALLPARK_MODULE="$(MODULE)" scripts/test-live

page: has-deps build ## the dashboard in a browser
	CALLPARK_MODULE="$(MODULE)" scripts/test-page

soak: has-deps build ## a thousand parked calls while more come and go, for MINUTES (10)
	CALLPARK_MODULE="$(MODULE)" scripts/soak $(or $(MINUTES),10)

chaos: has-deps build ## FreeSWITCH, database, clock and media disturbed at random, for MINUTES (10), with SEED, ONLY=hold,freeze; nobody may be lost or left in silence
	CALLPARK_MODULE="$(MODULE)" scripts/chaos $(or $(MINUTES),10) $(SEED) $(if $(ONLY),--only $(ONLY))

run: deps-build ## a private FreeSWITCH with the module in it, or a simulated day without FreeSWITCH; installs what the build needs
	$(MAKE) build
	@if [ -n "$(FREESWITCH_PREFIX)" ]; then scripts/start-private "$(MODULE)" "$(FREESWITCH_PREFIX)"; \
	else echo "no FreeSWITCH is installed here: the same module on simulated calls"; \
	$(CARGO) run --release -q -p simulator -- "$(MODULE)" --dashboard 127.0.0.1:8099 --speed 60; fi

bench: has-deps build ## the rules' cost, and that of parked calls beside mod_valet_parking; PAIRS=1 ONLY=cpu for a part of the latter
	$(if $(ONLY),,$(CARGO) bench --package benches)
	CALLPARK_MODULE="$(MODULE)" scripts/bench

# `sudo make install` has no cargo in its path as a rule, and should not build as root: it takes what `make build` has built.
install: ## the module and its configuration into the installed FreeSWITCH
	@if command -v $(CARGO) >/dev/null || [ ! -f "$(MODULE)" ]; then $(MAKE) build; fi
	scripts/install "$(MODULE)"

uninstall: ## the module out of it again; configuration stays
	scripts/install --remove

clean:
	$(CARGO) clean

# The only targets that install packages, with sudo unless root calls them; `run` and `test` begin with them.
deps: ## install what building and testing need
	@scripts/deps all

deps-build: ## install what building needs
	@scripts/deps build

has-deps:
	@scripts/deps --check all

has-deps-build:
	@scripts/deps --check build
