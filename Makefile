# The two commands are `make run` and `make test`. Both install what else they need from the system's and
# the languages' package registries.
.PHONY: run ui build test check bench soak dist fuzz clean

PROFILE ?= quick
BINARY := target/$(PROFILE)/bellwether
DATA ?= ./bellwether-data

## Build and start; prints a sign-in link and what to paste into a client.
run: build
	@echo "==> starting ($(BINARY) --data $(DATA))"
	@$(BINARY) serve --data $(DATA)

## Build the binary with the web application inside.
build: ui
	@echo "==> building the binary: about a quarter of an hour on a fresh two-core machine, seconds afterwards"
	@cargo build --profile $(PROFILE) -p bellwether

## Build the web application.
ui:
	@scripts/ui.sh

## Every check and every test; starts the servers they need on private ports.
test:
	@scripts/test.sh

## What CI asks before the first test: format, lints, tidiness.
check:
	@cargo xtask check

## Bellwether beside its peers on the same data; figures go to bench/RESULTS.md.
bench:
	@scripts/bench.sh

## The long forms of the open-ended suites: kills, simulation seeds, fuzzing.
soak:
	@scripts/soak.sh

## A tarball, a .deb and a unit, below target/dist.
dist:
	@scripts/dist.sh

## Every decoder for a while under a coverage-guided fuzzer.
fuzz:
	@scripts/fuzz.sh

clean:
	@cargo clean
	@rm -rf ui/dist ui/node_modules
