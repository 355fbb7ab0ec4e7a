# mod_callpark. `make help` lists the targets; docs/testing.md describes those for tests.
SHELL := /bin/sh
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET_DIR)/release/libmod_callpark.so
DOCTOR := $(TARGET_DIR)/release/callpark-doctor
FREESWITCH_PREFIX ?= $(shell scripts/find-freeswitch)
export FREESWITCH_PREFIX

.PHONY: help build test lint msrv deny audit rules examples sequences panics fuzz sanitize abi live page soak chaos run bench install doctor uninstall deb test-deb release clean deps deps-build has-deps has-deps-build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: has-deps-build ## build the module, target/release/libmod_callpark.so, and the doctor
	$(CARGO) build --release

# Targets that use one processor, or wait for the clock, run two at a time.
test: deps ## run everything that this machine can run; installs what is missing
	$(MAKE) lint examples
	$(MAKE) --jobs=2 --output-sync=target sequences panics fuzz build SECONDS=30
	$(MAKE) abi
	$(MAKE) --jobs=2 live sanitize
	$(MAKE) page

lint: has-deps-build ## check the format; run clippy, and shellcheck if it is installed
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck scripts/* debian/*.p* .ci/run; else echo "skipped: shellcheck is not installed"; fi

msrv: has-deps-build ## check the module with the oldest supported compiler, which rustup must have
	$(CARGO) +$(shell sed -n 's/^rust-version = "\([^"]*\)".*/\1/p' Cargo.toml) check --locked --lib

deny: ## check licences, sources and duplicates of the dependencies with cargo-deny
	$(CARGO) deny --all-features check bans licenses sources
	$(CARGO) deny --all-features --manifest-path tests/fuzz/Cargo.toml --config deny.toml check bans licenses sources

audit: ## check the dependencies for known vulnerabilities with cargo-audit
	$(CARGO) audit --deny warnings
	$(CARGO) audit --deny warnings --file tests/fuzz/Cargo.lock

rules: examples ## run unit and property tests, simulated calls and injected panics; needs no FreeSWITCH
	$(MAKE) --jobs=2 --output-sync=target sequences panics

TESTED := --workspace --exclude benches # benches/ has no tests

examples: has-deps-build
	$(CARGO) test $(TESTED)

sequences:
	PROPTEST_CASES=100000 $(CARGO) test $(TESTED) --test rules no_sequence # the same build as for the examples

panics: # prints thousands of panic messages, which are shown only after a failure
	@mkdir -p "$(TARGET_DIR)"
	RUST_BACKTRACE=0 $(CARGO) test --profile fault-injection --features fault-injection --test panics 2>"$(TARGET_DIR)/panics.log" || { tail -n 60 "$(TARGET_DIR)/panics.log"; exit 1; }

fuzz: has-deps-build ## run each parser on random text for SECONDS (60), and find bugs that were built in on purpose
	scripts/fuzz $(or $(SECONDS),60)

sanitize: has-deps-build ## run the address, leak and thread sanitizers and Miri, and find bugs that were built in on purpose
	nice -n 19 scripts/sanitize # the live tests run at the same time and have priority

abi: has-deps-build ## prove freeswitch-headers/ against each installed FreeSWITCH
	scripts/prove-abi

live: has-deps build ## make real calls on a real FreeSWITCH
	@[ -z "$(FREESWITCH_PREFIX)" ] || $(CARGO) build --profile fault-injection --features fault-injection --lib --test panics # as in `panics`, so that cargo builds the same libraries
	CALLPARK_MODULE="$(MODULE)" scripts/test-live

page: has-deps build ## test the dashboard in a browser
	CALLPARK_MODULE="$(MODULE)" scripts/test-page

soak: has-deps build ## park a thousand calls while more come and go, for MINUTES (10)
	CALLPARK_MODULE="$(MODULE)" scripts/soak $(or $(MINUTES),10)

chaos: has-deps build ## disturb FreeSWITCH, database, clock and media at random for MINUTES (10); SEED, ONLY=hold,freeze
	CALLPARK_MODULE="$(MODULE)" scripts/chaos $(or $(MINUTES),10) $(SEED) $(if $(ONLY),--only $(ONLY))

run: deps-build ## run the module in a private FreeSWITCH, or in a simulator; installs what the build needs
	$(MAKE) build
	@if [ -n "$(FREESWITCH_PREFIX)" ]; then scripts/start-private "$(MODULE)" "$(FREESWITCH_PREFIX)"; \
	else echo "no FreeSWITCH is installed: running the module on simulated calls"; \
	$(CARGO) run --release -q -p simulator -- "$(MODULE)" --dashboard 127.0.0.1:8099 --speed 1; fi

bench: has-deps build ## measure the rules, and parked calls beside mod_valet_parking; PAIRS=1 ONLY=cpu measures less
	$(if $(ONLY),,$(CARGO) bench --package benches)
	CALLPARK_MODULE="$(MODULE)" scripts/bench

# Under sudo there is usually no cargo in the path, and root should not build: `sudo make install` installs what `make build` built.
install: ## install the module and its configuration into FreeSWITCH; name the lines that remain to be written
	@scripts/install --check
	@if command -v $(CARGO) >/dev/null || [ ! -f "$(MODULE)" ] || [ ! -f "$(DOCTOR)" ]; then $(MAKE) build; fi
	scripts/install "$(MODULE)" "$(DOCTOR)"

doctor: ## report what the running FreeSWITCH lacks, each with the line that fixes it; FS_CLI='fs_cli -P 8022'
	@if [ ! -f "$(DOCTOR)" ]; then $(CARGO) build --release -q --package callpark-doctor; fi
	@scripts/install --doctor "$(DOCTOR)"

uninstall: ## remove what `make install` installed, except files that were changed since
	scripts/install --remove

deb: has-deps-build ## make the Debian package, target/deb/*.deb; ARCH=arm64, REVISION=2
	scripts/deb $(ARCH)

test-deb: ## install, upgrade and remove the package in a fresh Debian 12, and park a call there; needs root and debootstrap
	scripts/test-deb

release: has-deps-build ## make an archive with module, configuration and documents, target/dist/*.tar.xz; ARCH=arm64
	scripts/release $(ARCH)

clean:
	$(CARGO) clean

# The only targets that install packages, with sudo unless root runs them; `run` and `test` begin with them.
deps: ## install what building and testing need
	@scripts/deps all

deps-build: ## install what building needs
	@scripts/deps build

has-deps:
	@scripts/deps --check all

has-deps-build:
	@scripts/deps --check build
