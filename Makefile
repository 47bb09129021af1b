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
BINNAMES  := azfilesauthmanager azfilesrefresh
SBINNAMES := mount.azfiles azfiles.upcall
# What "azfilesauth version" tells; a package's build, which sees no repository, is given them.
COMMIT  ?= $(shell c=$$(git rev-parse -q --verify HEAD 2>/dev/null) && { git diff --quiet HEAD && echo $$c || echo $$c+changes; })
COMMITTED ?= $(shell TZ=UTC0 git show -s --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
CLI     := github.com/azfilesauth/azfilesauth/internal/cli
LDFLAGS := -s -w -X main.version=$(VERSION) -X $(CLI).commit=$(COMMIT) -X $(CLI).committed=$(COMMITTED)
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
install: install-files ## installs under DESTDIR and PREFIX (default /usr)
	install -D -m 0644 -t $(DESTDIR)/etc/request-key.d etc/request-key.d/azfiles.conf

# All but what leads the kernel to our programs: the packages' scripts do that after these are in place.
.PHONY: install-files
install-files: $(BIN)
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/azfilesauth
	install -d $(DESTDIR)$(PREFIX)/sbin
	for n in $(BINNAMES); do ln -sf azfilesauth $(DESTDIR)$(PREFIX)/bin/$$n; done
	for n in $(SBINNAMES); do ln -sf $(PREFIX)/bin/azfilesauth $(DESTDIR)$(PREFIX)/sbin/$$n; done
	[ -e $(DESTDIR)/etc/azfilesauth/config.yaml ] || \
	  install -D -m 0600 etc/azfilesauth/config.yaml $(DESTDIR)/etc/azfilesauth/config.yaml
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/etc/request-key.d etc/request-key.d/azfiles.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system etc/systemd/*.service
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/systemd/system-generators etc/systemd/azfiles-generator
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/azfilesauth etc/systemd/azfiles-mount-retry packaging/etc-files
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/tmpfiles.d etc/tmpfiles.d/azfilesauth.conf
	install -D -m 0644 etc/logrotate.d/azfilesauth $(DESTDIR)/etc/logrotate.d/azfilesauth
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/apparmor packaging/apparmor/azfilesauth
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/apparmor/abstractions packaging/apparmor/abstractions/azfilesauth
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/selinux packaging/selinux/azfilesauth.te packaging/selinux/azfilesauth.fc
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/prometheus packaging/prometheus/azfilesauth.rules.yml
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 packaging/man/*.8
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 packaging/man/*.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man7 packaging/man/*.7

# The C library. GOARCH and CC make one for another architecture: GOARCH=arm64 CC=aarch64-linux-gnu-gcc
CLIB        := bin/libazfilesauth.so.0
LIBDIR      ?= $(PREFIX)/lib
CLIB_SOURCE := $(wildcard internal/clib/*.c internal/clib/*.h internal/clib/*.map internal/clib/*.in)
CLIB_TAGS   := clib,netgo,osusergo
comma       := ,
# An empty build id, because the path of the version script would be in it.
CLIB_LINK   := -soname,$(notdir $(CLIB)) --version-script=$(CURDIR)/internal/clib/libazfilesauth.map -z,now

.PHONY: clib
clib: $(CLIB) ## builds the C library into bin/

$(CLIB): $(SOURCES) $(CLIB_SOURCE)
	@mkdir -p $(@D)
	CGO_ENABLED=1 CGO_CFLAGS='-O2 -g -DAZFILESAUTH_VERSION="$(VERSION)"' $(GO) build -buildmode=c-shared -trimpath \
	  -tags $(CLIB_TAGS) -ldflags '-s -w -buildid= -extldflags "$(addprefix -Wl$(comma),$(CLIB_LINK))"' -o $@ ./internal/clib
	@rm -f $(basename $@).h

.PHONY: install-clib
install-clib: $(CLIB) ## installs the C library, its header and its pkg-config file
	install -D -m 0644 $(CLIB) $(DESTDIR)$(LIBDIR)/libazfilesauth.so.0.0.0
	ln -sf libazfilesauth.so.0.0.0 $(DESTDIR)$(LIBDIR)/libazfilesauth.so.0
	ln -sf libazfilesauth.so.0 $(DESTDIR)$(LIBDIR)/libazfilesauth.so
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/include internal/clib/azfilesauth.h internal/clib/azfilesauthversion.h
	sed -i 's|@VERSION@|$(VERSION)|' $(DESTDIR)$(PREFIX)/include/azfilesauthversion.h
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' internal/clib/azfilesauth.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/azfilesauth.pc
	chmod 0644 $(DESTDIR)$(LIBDIR)/pkgconfig/azfilesauth.pc

# command:package pairs; what is there already is not installed again
NEEDS := gcc:gcc g++:g++ qemu-system-x86_64:qemu-system-x86 cpio:cpio klist:krb5-user krb5-config:libkrb5-dev \
         mandoc:mandoc request-key:keyutils strace:strace ip:iproute2 python3:python3 promtool:prometheus mmdebstrap:mmdebstrap patch:patch systemd-analyze:systemd zsh:zsh fish:fish \
         readelf:binutils aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu

.PHONY: deps
deps: ## installs the Debian packages that the tests and the demo need
	@missing=; for n in $(NEEDS); do command -v $${n%%:*} >/dev/null || missing+=" $${n##*:}"; done; \
	/usr/bin/python3 -c 'import gssapi' 2>/dev/null || missing+=" python3-gssapi"; \
	[ -e /usr/include/errno.h ] || missing+=" libc6-dev"; \
	[ -e /usr/aarch64-linux-gnu/include/errno.h ] || missing+=" libc6-dev-arm64-cross"; \
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
	$(GO) vet -tags lab,clib,packages ./...
	@! { mandoc -T lint -W style packaging/man/*.[578] 2>/dev/null || true; } | grep -v ': referenced manual not found: '

# Root runs every test or fails; another user is told what was skipped (go test -v).
.PHONY: test-unit
test-unit: export AZFILESAUTH_NO_SKIPS := $(if $(filter 0,$(shell id -u)),1)
test-unit: ## the packages' own tests, with the race detector; as root, none may be skipped
	$(GO) test -count=1 -v -run '^TestPreflight$$' ./internal/lab/needs
	$(GO) test -race ./...
	cd packaging/kubernetes/test && $(GO) test ./...

.PHONY: test-fips
test-fips: ## what encrypts or speaks TLS, with Go's FIPS 140-3 module
	GODEBUG=fips140=on $(GO) test ./internal/azfiles ./internal/compat ./internal/identity ./internal/spnego ./internal/tickets ./mounthelper

.PHONY: test-guest
test-guest: deps ## the stories and the doctor's table of breaks, in a guest with a real kernel
	$(GO) test -tags lab -run '^Test(Stories|Doctor)$$' -count=1 -timeout 30m -v ./internal/lab

.PHONY: test-systemd
test-systemd: NEEDS += mke2fs:e2fsprogs dpkg-buildpackage:dpkg-dev dh:debhelper
test-systemd: deps ## the stories of boot, in a guest with systemd
	$(GO) test -tags lab -run '^TestBoots$$' -count=1 -timeout 25m -v ./internal/lab

.PHONY: test-policies
test-policies: NEEDS += apparmor_parser:apparmor checkmodule:checkpolicy semodule_package:semodule-utils \
                        semodule:policycoreutils sesearch:setools
test-policies: deps ## the AppArmor profiles and the SELinux module
	packaging/check-policies.sh $(CURDIR)/.cache/policies

.PHONY: test-long
test-long: test test-systemd test-packages test-policies ## also boots with systemd, and the packages

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz: $$target in $$pkg"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

# Where deadcode sees no caller: what only tests or callers written in C reach.
UNSEEN := '^internal/(azurefake|clib|lab|log)/'

.PHONY: lint
lint: ## the linters that tools.mod pins
	$(TOOL) golangci-lint run --timeout 15m ./...
	$(TOOL) actionlint
	@all=$$($(TOOL) deadcode -tags clib ./...); dead=$$(grep -vE $(UNSEEN) <<<"$$all" || true); \
	[ -z "$$dead" ] || { echo "$$dead"; exit 1; }

.PHONY: bench
bench: NEEDS += cifs.upcall:cifs-utils
bench: deps build ## medians and ratios, measured in one run
	$(GO) run ./internal/lab/cmd/bench $(BIN)
	$(LAB) bench $(if $(SUITE),-suite $(SUITE))

# Packages: packaging/debian and packaging/rpm are thin over the two install targets.
DOCDIR  = $(PREFIX)/share/doc/azfilesauth
ZSHDIR  = $(PREFIX)/share/zsh/vendor-completions
# Programs that run while a package for another processor is built.
HOSTGO  = env -u GOARCH -u CC CGO_ENABLED=0 $(GO)

.PHONY: install-package
install-package: install-files install-clib ## install, and what only packages ship: C library, completions, licences
	@mkdir -p bin
	$(HOSTGO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/host . && trap 'rm -f bin/host' EXIT && \
	install -d $(DESTDIR)$(PREFIX)/share/{bash-completion/completions,fish/vendor_completions.d} $(DESTDIR)$(ZSHDIR) && \
	bin/host completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/azfilesauth && \
	bin/host completion zsh > $(DESTDIR)$(ZSHDIR)/_azfilesauth && \
	bin/host completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/azfilesauth.fish
	install -d $(DESTDIR)$(DOCDIR)
	$(HOSTGO) build -modfile=release.mod -o bin/go-licenses github.com/google/go-licenses/v2
	packaging/third-party bin/go-licenses $(CLIB_TAGS) > $(DESTDIR)$(DOCDIR)/THIRD-PARTY

.PHONY: deb
deb: NEEDS += dpkg-buildpackage:dpkg-dev dh:debhelper
deb: deps ## builds the Debian package for this machine's kind into dist/
	packaging/build deb $$(dpkg --print-architecture)

.PHONY: rpm
rpm: NEEDS += rpmbuild:rpm dpkg-parsechangelog:dpkg-dev
rpm: deps ## builds the RPM package for this machine's kind into dist/
	packaging/build rpm $$(dpkg --print-architecture)

PACKAGENEEDS := dpkg-buildpackage:dpkg-dev dh:debhelper rpmbuild:rpm aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu

.PHONY: packages
packages: NEEDS += $(PACKAGENEEDS)
packages: deps ## builds all packages, amd64 and arm64, into dist/
	[ -e /usr/aarch64-linux-gnu/include/errno.h ] || apt-get -qq install -y --no-install-recommends libc6-dev-arm64-cross >/dev/null
	for a in amd64 arm64; do packaging/build deb $$a; packaging/build rpm $$a; done

# Without times and numbers of its own, and with a tool (its checksum is told) that no path changes.
.PHONY: sbom
sbom: ## prints what PROGRAM contains, as a CycloneDX bill of materials in JSON
	@GOFLAGS="$$($(GO) env GOFLAGS) -trimpath" $(GO) tool -modfile=release.mod cyclonedx-gomod bin -json -std -short-purls -noserial -notimestamp \
	  -version $(VERSION) $(PROGRAM)

.PHONY: test-packages
test-packages: NEEDS += $(PACKAGENEEDS) lintian:lintian rpmlint:rpmlint mmdebstrap:mmdebstrap qemu-aarch64-static:qemu-user-static
test-packages: deps ## installs, upgrades and removes the packages in roots of Debian 12 and 13
	$(GO) test -tags packages -count=1 -timeout 30m -v ./packaging

.PHONY: clean
clean: ## removes what the targets made, but not the downloads
	rm -rf bin dist .cache/lab/*/out
