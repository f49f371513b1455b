# Everything a person or a machine does with this repository. `make` says what.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# No C anywhere but under the race detector: the binary is static, and plain
# builds, tests and the demo share one build cache.
export CGO_ENABLED := 0

BIN      := $(CURDIR)/.bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LINT     := 2.15.0
FUZZTIME ?= 10s
# For make bench: -quick rehearses, -only PATTERN measures some figures.
BENCHFLAGS ?=
TOOL     := go tool -modfile=tools/go.mod

# Packages whose functions are pure or shared between goroutines.
RACE := ./internal/passport ./internal/strictjson ./internal/catalogue ./internal/schema ./internal/credential \
        ./internal/verify ./internal/access ./internal/tlog ./internal/identity ./internal/keyring ./internal/telemetry \
        ./internal/registry

# $(call need,PROGRAM OR PATTERN OF ITS PATH,DEBIAN PACKAGE): as root on Debian
# the package is installed; anybody else is told the one command.
define need
if ! compgen -G "$(1)" >/dev/null && ! command -v "$(notdir $(1))" >/dev/null; then \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    apt-get update -qq; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); \
  else \
    echo "This needs $(notdir $(1)). Install it and try again:  sudo apt-get install --no-install-recommends $(2)" >&2; \
    exit 1; \
  fi; \
fi
endef

# $(call tagged,TAG): test the packages that have tests under a build tag. None
# at all is a failure: a step that tests nothing must not look like a success.
define tagged
packages=$$(grep -rlE '^//go:build ([a-z]+ && )*$(1)$$' --include='*_test.go' cmd internal | xargs -n1 dirname | sort -u | sed 's|^|./|'); \
go test -timeout 20m -tags $(1) $$packages
endef

# $(call packages,DIRECTORY): the npm packages that its lock file names.
define packages
$(call need,/usr/bin/node,nodejs); $(call need,/usr/bin/npm,npm); cd $(1) && npm ci --no-audit --no-fund
endef

# Fails and names the files that are not formatted.
define formatted
unformatted=$$($(TOOL) gofumpt -l .); \
if [ -n "$$unformatted" ]; then echo "Not formatted, run gofumpt -w on:"; echo "$$unformatted"; exit 1; fi
endef

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Build, start a registry full of examples on this machine, and say where
	@go build -o $(BIN)/provolt ./cmd/provolt
	@$(BIN)/provolt demo

.PHONY: build
build: ## Build the static release binary .bin/provolt
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/provolt ./cmd/provolt

.PHONY: test
test: postgres ## Run all tests, on SQLite and on a PostgreSQL of its own
	go test -timeout 20m ./...

.PHONY: postgres
postgres:
	@$(call need,/usr/lib/postgresql/*/bin/initdb,postgresql)

.PHONY: test-browser
test-browser: postgres ## Run the pages in a headless Chromium
	@$(call need,/usr/bin/chromium,chromium)
	@$(call packages,tools/browser)
	$(call tagged,browser)

.PHONY: test-interop
test-interop: ## Let verifiers that we did not write check what we sign (Node.js)
	@$(call packages,tools/interop)
	$(call tagged,interop)

.PHONY: check
check: ## Have a quick look: format, vet, staticcheck
	@$(call formatted)
	go vet ./...
	$(TOOL) staticcheck ./...

.PHONY: lint
lint: $(BIN)/golangci-lint ## Check style and find faults
	@$(call formatted)
	$(BIN)/golangci-lint run --timeout 15m
	@unused=$$($(TOOL) deadcode -test -tags browser,interop,bench ./...); \
	if [ -n "$$unused" ]; then echo "Reached by nothing:"; echo "$$unused"; exit 1; fi

# Not in tools/go.mod: its 200 modules would decide our tools' versions.
$(BIN)/golangci-lint: Makefile
	@if [ "$$($@ version --short 2>/dev/null)" = "$(LINT)" ]; then touch $@; \
	else GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT); fi

.PHONY: race
race: export CGO_ENABLED := 1
race: ## Run the core packages under the race detector
	@$(call need,/usr/bin/gcc,gcc libc6-dev)
	go test -race -timeout 20m $(RACE)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s)
	@grep -rnoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' cmd internal | sed -E 's|^(.*)/[^/]+:[0-9]+:func (Fuzz.*)|\1 \2|' | sort -u | \
	while read -r dir target; do \
	  echo "== $$dir $$target"; \
	  go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s "./$$dir"; \
	done

.PHONY: bench
bench: postgres ## Compare with the plainest programs that do the same, on a quiet machine: BENCHMARKS.md
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBenchmarks$$' ./internal/bench -args $(BENCHFLAGS)

.PHONY: image
image: ## Build the container image provolt:VERSION
	docker build -f deploy/Dockerfile --build-arg VERSION=$(VERSION) -t provolt:$(VERSION) .
