# mod_callpark: make help
SHELL := /bin/sh
CARGO ?= cargo
MODULE := target/release/libmod_callpark.so
FREESWITCH_PREFIX ?= $(shell scripts/find-freeswitch)
export FREESWITCH_PREFIX

.PHONY: help build test lint rules examples sequences panics fuzz sanitize abi live page soak chaos run bench install uninstall clean needs test-needs

help: ## this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: needs ## the module: target/release/libmod_callpark.so
	$(CARGO) build --release

# What computes on one processor, or waits for the clock, is done beside something else.
test: test-needs lint examples ## everything, on what is installed here
	$(MAKE) --jobs=2 --output-sync=target sequences panics fuzz build SECONDS=30
	$(MAKE) abi
	$(MAKE) --jobs=2 live sanitize
	$(MAKE) page

lint: needs
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

rules: examples ## unit and property tests, simulated calls, panics on purpose; no FreeSWITCH
	$(MAKE) --jobs=2 --output-sync=target sequences panics

TESTED := --workspace --exclude benches # in which there is no test

examples: needs
	$(CARGO) test $(TESTED)

sequences:
	PROPTEST_CASES=100000 $(CARGO) test $(TESTED) --test rules no_sequence # as built for the examples

panics: # each says where it was, thousands of times; that is for when it failed
	@mkdir -p target
	RUST_BACKTRACE=0 $(CARGO) test --profile planted --features planted --test panics 2>target/panics.log || { tail -n 60 target/panics.log; exit 1; }

fuzz: test-needs ## random text against every parser, for SECONDS (60) each, and bugs on purpose that it must find
	scripts/fuzz $(or $(SECONDS),60)

sanitize: test-needs ## the module under the address, leak and thread sanitizer, the rules under Miri, and bugs on purpose
	nice -n 19 scripts/sanitize # of the processors, what the live tests beside it leave

abi: needs ## our headers against those of every installed FreeSWITCH
	scripts/prove-abi

live: test-needs build ## real calls on a real FreeSWITCH
	@[ -z "$(FREESWITCH_PREFIX)" ] || $(CARGO) build --profile planted --features planted --lib --test panics # as `rules` does: alone, its libraries would be others
	CALLPARK_MODULE=$(MODULE) scripts/test-live

page: test-needs build ## the dashboard in a browser
	CALLPARK_MODULE=$(MODULE) scripts/test-page

soak: test-needs build ## a thousand parked calls while more come and go, for MINUTES (10)
	CALLPARK_MODULE=$(MODULE) scripts/soak $(or $(MINUTES),10)

chaos: test-needs build ## FreeSWITCH, database, clock and media disturbed at random, for MINUTES (10), with SEED, ONLY=hold,freeze; nobody may be lost or left in silence
	CALLPARK_MODULE=$(MODULE) scripts/chaos $(or $(MINUTES),10) $(SEED) $(if $(ONLY),--only $(ONLY))

run: needs build ## a private FreeSWITCH with the module in it; without FreeSWITCH, a simulated day
	@if [ -n "$(FREESWITCH_PREFIX)" ]; then scripts/start-private $(MODULE) "$(FREESWITCH_PREFIX)"; \
	else echo "no FreeSWITCH is installed here: the same module on simulated calls"; \
	$(CARGO) run --release -q -p simulator -- $(MODULE) --dashboard 127.0.0.1:8099 --speed 60; fi

bench: test-needs build ## the rules' cost, and that of parked calls beside mod_valet_parking; PAIRS=1 ONLY=cpu for a part of the latter
	$(if $(ONLY),,$(CARGO) bench --package benches)
	CALLPARK_MODULE=$(MODULE) scripts/bench

install: build ## the module and its configuration into the installed FreeSWITCH
	scripts/install $(MODULE)

uninstall: ## the module out of it again; configuration stays
	scripts/install --remove

clean:
	$(CARGO) clean

needs:
	@scripts/install-needs

test-needs:
	@scripts/install-needs test
