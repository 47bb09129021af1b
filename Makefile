# make demo   shows the main job: a real kernel mounts a real share from one fstab line
# make test   runs every suite
# make help   lists the other targets
#
# Both set up what they need: Debian packages through apt, Go modules through the module proxy.
# Downloads and builds are kept under .cache, which git ignores.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VERSION  ?= 2.0.0
PREFIX   ?= /usr
DESTDIR  ?=
SUITE    ?=
GO       ?= go
FUZZTIME ?= 20000x

BIN     := bin/azfilesauth
BINNAMES  := azfilesauthmanager
SBINNAMES := mount.azfiles azfiles.upcall
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL    := $(GO) tool -modfile=tools.mod
LAB     := $(GO) run ./internal/lab/cmd/lab
SOURCES := $(shell find . -name '*.go' -not -path './.cache/*') go.mod go.sum

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: build
build: $(BIN) ## builds the binary and its links into bin/

$(BIN): $(SOURCES)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ .
	@for n in $(BINNAMES) $(SBINNAMES); do ln -sf azfilesauth bin/$$n; done

.PHONY: install
install: $(BIN) ## installs under DESTDIR and PREFIX (default /usr)
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/azfilesauth
	install -d $(DESTDIR)$(PREFIX)/sbin
	for n in $(BINNAMES); do ln -sf azfilesauth $(DESTDIR)$(PREFIX)/bin/$$n; done
	for n in $(SBINNAMES); do ln -sf $(PREFIX)/bin/azfilesauth $(DESTDIR)$(PREFIX)/sbin/$$n; done
	[ -e $(DESTDIR)/etc/azfilesauth/config.yaml ] || \
	  install -D -m 0600 etc/azfilesauth/config.yaml $(DESTDIR)/etc/azfilesauth/config.yaml
	install -D -m 0644 etc/request-key.d/azfiles.conf $(DESTDIR)/etc/request-key.d/azfiles.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 packaging/man/*.8
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 packaging/man/*.5

# command:package pairs; what is there already is not installed again
NEEDS := gcc:gcc qemu-system-x86_64:qemu-system-x86 cpio:cpio klist:krb5-user krb5-config:libkrb5-dev \
         mandoc:mandoc request-key:keyutils strace:strace ip:iproute2 python3:python3

.PHONY: deps
deps: ## installs the Debian packages that the tests and the demo need
	@missing=; for n in $(NEEDS); do command -v $${n%%:*} >/dev/null || missing+=" $${n##*:}"; done; \
	/usr/bin/python3 -c 'import gssapi' 2>/dev/null || missing+=" python3-gssapi"; \
	[ -e /usr/include/errno.h ] || missing+=" libc6-dev"; \
	if [ -n "$$missing" ]; then \
	  echo "deps: installing$$missing"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	  apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: demo
demo: deps ## a real kernel mounts a real share from one fstab line
	$(LAB) demo $(if $(SUITE),-suite $(SUITE))

.PHONY: test
test: deps test-static test-unit test-fips test-guest ## runs every suite

.PHONY: test-static
test-static: ## formatting, vet, manual pages
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	[ -z "$$out" ] || { echo "not formatted: $$out"; exit 1; }
	$(GO) vet -tags lab ./...
	mandoc -T lint -W warning packaging/man/*.[58]

.PHONY: test-unit
test-unit: ## the packages' own tests, with the race detector
	$(GO) test -race ./...

.PHONY: test-fips
test-fips: ## what encrypts or speaks TLS, with Go's FIPS 140-3 module
	GODEBUG=fips140=on $(GO) test ./internal/azfiles ./internal/compat ./internal/identity ./internal/spnego ./internal/tickets ./mounthelper

.PHONY: test-guest
test-guest: deps ## the stories, in a guest with a real kernel
	$(GO) test -tags lab -count=1 -timeout 20m -v ./internal/lab

.PHONY: test-long
test-long: test ## also in a guest of Debian 13
	SUITE=trixie $(MAKE) test-guest

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz: $$target in $$pkg"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: lint
lint: ## the linters that tools.mod pins
	$(TOOL) golangci-lint run --timeout 15m ./...

.PHONY: bench
bench: NEEDS += cifs.upcall:cifs-utils
bench: deps build ## medians and ratios, measured in one run
	$(GO) run ./internal/lab/cmd/bench $(BIN)
	$(LAB) bench $(if $(SUITE),-suite $(SUITE))

.PHONY: clean
clean: ## removes what the targets made, but not the downloads
	rm -rf bin dist .cache/lab/*/out
