# make demo   shows the main job: a real kernel mounts a real share from one fstab line
# make test   runs the suites that decide most changes; make test-long runs all
# make help   lists the other targets
#
# Both set up what they need: Debian packages through apt, Go modules through the module proxy.
# Downloads and builds are kept under .cache, which git ignores.

ifeq ($(filter oneshell,$(.FEATURES)),)
$(error GNU make 3.82 or newer is needed; this is $(MAKE_VERSION))
endif
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

ifndef VERSION
VERSION  := $(shell packaging/version)
endif
PREFIX   ?= /usr
DESTDIR  ?=
BINDIR   ?= $(PREFIX)/bin
SBINDIR  ?= $(PREFIX)/sbin
UNITDIR  ?= $(PREFIX)/lib/systemd/system
# For trees that are moved to /etc later: request-key and the programs read /etc alone.
SYSCONFDIR ?= /etc
SUITE    ?=
GO       ?= go
# Tells that a command runs that prints nothing for a while.
PROGRESS := packaging/progress
FUZZTIME ?= 20000x

BIN     := bin/azfilesauth
BINNAMES  := azfilesauthmanager azfilesrefresh
SBINNAMES := mount.azfiles azfiles.upcall
# What "azfilesauth version" tells.
ifndef COMMIT
COMMIT    := $(shell packaging/commit name)
endif
ifndef COMMITTED
COMMITTED := $(shell packaging/commit time)
endif
CLI     := github.com/azfilesauth/azfilesauth/internal/cli
HOST    := github.com/azfilesauth/azfilesauth/internal/host
LDFLAGS := -s -w -X main.version=$(VERSION) -X $(CLI).commit=$(COMMIT) -X $(CLI).committed=$(COMMITTED) \
           -X $(HOST).binDir=$(BINDIR) -X $(HOST).sbinDir=$(SBINDIR)
# Units, rule and scripts as they are in the repository name the directories of packages.
PLACED  := sed -e 's|/usr/bin/azfiles|$(BINDIR)/azfiles|g; s|/usr/sbin/azfiles|$(SBINDIR)/azfiles|g' \
               -e 's|/usr/lib/azfilesauth/azfiles|$(PREFIX)/lib/azfilesauth/azfiles|g; s|/usr/share/azfilesauth|$(PREFIX)/share/azfilesauth|g'
TOOL    := $(GO) tool -modfile=tools.mod
LAB     := $(GO) run ./internal/lab/cmd/lab
SOURCES := $(shell find . -name '*.go' -not -path './.cache/*') go.mod go.sum

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: build
build: preflight $(BIN) ## builds the binary and its links into bin/

# The binary knows the directories: others than at the last build link it anew.
$(BIN): bin/directories
bin/directories: always
	@mkdir -p bin
	@echo '$(BINDIR) $(SBINDIR)' | cmp -s - $@ || echo '$(BINDIR) $(SBINDIR)' > $@
.PHONY: always
always:

$(BIN): $(SOURCES)
	@mkdir -p bin
	CGO_ENABLED=0 $(PROGRESS) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ .
	@for n in $(BINNAMES) $(SBINNAMES); do ln -sf azfilesauth bin/$$n; done

.PHONY: install
install: install-files ## installs under DESTDIR and PREFIX (default /usr)
	install -d $(DESTDIR)$(SYSCONFDIR)/request-key.d
	$(PLACED) etc/request-key.d/azfiles.conf | install -m 0644 /dev/stdin $(DESTDIR)$(SYSCONFDIR)/request-key.d/azfiles.conf

# The rule goes before its program: without it every Kerberos mount of the machine would fail. What systemctl enable
# has linked goes, too.
.PHONY: uninstall
uninstall: $(BIN) ## removes what install and install-clib put under DESTDIR and PREFIX; the configuration stays
	rm -f $(DESTDIR)$(SYSCONFDIR)/request-key.d/azfiles.conf
	for l in $(DESTDIR)/etc/systemd/system/{*.wants/azfilesrefresh,azfilesauth}.service; do \
	  case $$(readlink "$$l" || :) in $(UNITDIR)/azfilesrefresh.service | /lib/systemd/system/azfilesrefresh.service) rm "$$l" ;; esac; done
	stage=$$(mktemp -d); trap 'rm -rf "$$stage"' EXIT; \
	$(MAKE) -s --no-print-directory install DESTDIR="$$stage" >/dev/null; \
	rm "$$stage$(SYSCONFDIR)/azfilesauth/config.yaml"; \
	(cd "$$stage" && find . ! -type d -printf '%P\n') | while IFS= read -r f; do rm -f "$(DESTDIR)/$$f"; done; \
	for f in libazfilesauth.so libazfilesauth.so.0 libazfilesauth.so.0.0.0 pkgconfig/azfilesauth.pc; do rm -f "$(DESTDIR)$(LIBDIR)/$$f"; done; \
	rm -f $(DESTDIR)$(PREFIX)/include/azfilesauth.h $(DESTDIR)$(PREFIX)/include/azfilesauthversion.h $(DESTDIR)$(PREFIX)/share/man/man3/libazfilesauth.3; \
	(cd "$$stage" && find . -depth -type d -path '*azfilesauth*' -printf '%P\n') | while IFS= read -r d; do \
	  [ ! -d "$(DESTDIR)/$$d" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)/$$d"; done

# All but what leads the kernel to our programs: the packages' scripts do that after these are in place.
.PHONY: install-files
install-files: $(BIN)
	install -D -m 0755 $(BIN) $(DESTDIR)$(BINDIR)/azfilesauth
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)/usr/sbin $(DESTDIR)$(UNITDIR)
	for n in $(BINNAMES); do ln -sf azfilesauth $(DESTDIR)$(BINDIR)/$$n; done
	for n in $(SBINNAMES); do ln -sf $(BINDIR)/azfilesauth $(DESTDIR)$(SBINDIR)/$$n; done
	ln -sf $(BINDIR)/azfilesauth $(DESTDIR)/usr/sbin/mount.azfiles # mount(8) looks nowhere else
	[ -e $(DESTDIR)$(SYSCONFDIR)/azfilesauth/config.yaml ] || \
	  install -D -m 0600 etc/azfilesauth/config.yaml $(DESTDIR)$(SYSCONFDIR)/azfilesauth/config.yaml
	install -D -m 0644 -t $(DESTDIR)/usr/lib/azfilesauth/config.d etc/config.d/*.yaml # read nowhere else
	install -d $(DESTDIR)$(PREFIX)/share/azfilesauth/etc/request-key.d
	$(PLACED) etc/request-key.d/azfiles.conf | install -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/share/azfilesauth/etc/request-key.d/azfiles.conf
	for u in etc/systemd/*.service; do $(PLACED) $$u | install -m 0644 /dev/stdin $(DESTDIR)$(UNITDIR)/$${u##*/}; done
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/systemd/system-generators etc/systemd/azfiles-generator
	install -d $(DESTDIR)$(PREFIX)/lib/azfilesauth
	for f in etc/systemd/azfiles-mount-retry packaging/etc-files; do \
	  $(PLACED) $$f | install -m 0755 /dev/stdin $(DESTDIR)$(PREFIX)/lib/azfilesauth/$${f##*/}; done
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/tmpfiles.d etc/tmpfiles.d/azfilesauth.conf
	install -D -m 0644 etc/logrotate.d/azfilesauth $(DESTDIR)$(SYSCONFDIR)/logrotate.d/azfilesauth
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/apparmor packaging/apparmor/azfilesauth
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/apparmor/abstractions packaging/apparmor/abstractions/*
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/selinux packaging/selinux/azfilesauth.te packaging/selinux/azfilesauth.fc
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/prometheus packaging/prometheus/azfilesauth.rules.yml packaging/prometheus/azfilesauth.dashboard.json
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/azfilesauth/schema packaging/schema/*.schema.json
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 packaging/man/*.8
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 packaging/man/*.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man7 packaging/man/*.7
	for c in status config; do printf '.so man8/azfilesauth.8\n.\\" for azfilesauth %s\n' $$c | install -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/share/man/man8/azfilesauth-$$c.8; done

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
	CGO_ENABLED=1 CGO_CFLAGS='-O2 -g -DAZFILESAUTH_VERSION="$(VERSION)"' $(PROGRESS) $(GO) build -buildmode=c-shared -trimpath \
	  -tags $(CLIB_TAGS) -ldflags '-s -w -buildid= -extldflags "$(addprefix -Wl$(comma),$(CLIB_LINK))"' -o $@ ./internal/clib
	@rm -f $(basename $@).h

.PHONY: install-clib
install-clib: $(CLIB) ## installs the C library, its header and its pkg-config file
	install -D -m 0644 $(CLIB) $(DESTDIR)$(LIBDIR)/libazfilesauth.so.0.0.0
	ln -sf libazfilesauth.so.0.0.0 $(DESTDIR)$(LIBDIR)/libazfilesauth.so.0
	ln -sf libazfilesauth.so.0 $(DESTDIR)$(LIBDIR)/libazfilesauth.so
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/include internal/clib/azfilesauth.h internal/clib/azfilesauthversion.h
	sed -i 's|@VERSION@|$(VERSION)|' $(DESTDIR)$(PREFIX)/include/azfilesauthversion.h
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man3 packaging/man/libazfilesauth.3
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' internal/clib/azfilesauth.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/azfilesauth.pc
	chmod 0644 $(DESTDIR)$(LIBDIR)/pkgconfig/azfilesauth.pc

# What a target needs of Debian, as COMMAND:PACKAGE or /FILE:PACKAGE; what is there is not installed again.
# Building asks for the first few alone; the tests and the demo for all of these.
BUILDNEEDS := gcc:build-essential /usr/include/errno.h:build-essential
ARMNEEDS   := aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/errno.h:libc6-dev-arm64-cross
DEBNEEDS   := /usr/share/build-essential/list:build-essential dh:debhelper
RPMNEEDS   := rpmbuild:rpm dpkg-parsechangelog:dpkg-dev checkmodule:checkpolicy semodule_package:semodule-utils
BOOTNEEDS  := mke2fs:e2fsprogs $(DEBNEEDS)
ROOTNEEDS  := $(DEBNEEDS) $(RPMNEEDS) lintian:lintian rpmlint:rpmlint qemu-aarch64-static:qemu-user-static \
              apt-ftparchive:apt-utils createrepo_c:createrepo-c gpg:gpg rpmsign:rpm dnf:dnf mkdocs:mkdocs
POLICYNEEDS := apparmor_parser:apparmor checkmodule:checkpolicy semodule_package:semodule-utils \
              semodule:policycoreutils sesearch:setools
NEEDS      := $(BUILDNEEDS) $(ARMNEEDS) g++:g++ qemu-system-x86_64:qemu-system-x86 cpio:cpio klist:krb5-user krb5-config:libkrb5-dev \
              mandoc:mandoc request-key:keyutils cifs.upcall:cifs-utils strace:strace ip:iproute2 python3:python3 mmdebstrap:mmdebstrap patch:patch \
              systemd-analyze:systemd zsh:zsh fish:fish readelf:binutils /usr/lib/python3/dist-packages/gssapi:python3-gssapi \
              /usr/lib/libnss_extrausers.so.2:libnss-extrausers

# promtool alone: installing Debian's package prometheus would start a server.
TOOLS := $(CURDIR)/.cache/tools
export PATH := $(PATH):$(TOOLS)

# An older Go than this one downloads what go.mod asks for, if it may (GOTOOLCHAIN).
.PHONY: preflight
preflight:
	@want=$$(sed -n 's/^go //p' go.mod); have=$$($(GO) env GOVERSION 2>/dev/null || true); \
	if [ "$$(printf '%s\n' "$$want" "$${have#go}" | sort -V | head -1)" != "$$want" ]; then \
	  echo "make: Go $$want or newer is needed, $${have:-none} is in PATH: unpack one from https://go.dev/dl/ and put its bin directory first" >&2; exit 1; \
	fi

.PHONY: deps
deps: preflight ## installs the Debian packages that the tests and the demo need
	@missing=$$(for n in $(NEEDS); do \
	  case $$n in /*) [ -e "$${n%%:*}" ] ;; *) command -v "$${n%%:*}" >/dev/null ;; esac || echo "$${n##*:}"; done | sort -u | xargs); \
	[ -n "$$missing" ] || exit 0; \
	command -v apt-get >/dev/null || { echo "make: install what Debian has in these packages, which this system's package manager knows by its own names: $$missing" >&2; exit 1; }; \
	[ "$$(id -u)" = 0 ] || { echo "make: packages are missing; as root: apt-get install $$missing" >&2; exit 1; }; \
	echo "deps: installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$(PROGRESS) apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	$(PROGRESS) -q apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $$missing

.PHONY: deps-long
deps-long: NEEDS += $(BOOTNEEDS) $(ROOTNEEDS) $(POLICYNEEDS)
deps-long: deps ## installs what every suite of .ci/run needs

.PHONY: promtool
promtool: deps
	@command -v promtool >/dev/null || { \
	  mkdir -p $(TOOLS) && cd $(TOOLS) && echo "deps: fetching promtool" && \
	  if [ "$$(id -u)" = 0 ]; then apt-get -o DPkg::Lock::Timeout=300 -qq update; fi && apt-get -qq download prometheus && \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - --strip-components=3 ./usr/bin/promtool && rm prometheus_*.deb; }

.PHONY: demo
demo: deps ## a real kernel mounts a real share from one fstab line
	$(LAB) demo $(if $(SUITE),-suite $(SUITE))

.PHONY: test
test: deps test-static test-unit test-core ## what decides most changes, in about ten minutes; test-long runs all

.PHONY: test-static
test-static: ## formatting, vet, manual pages
	@out=$$(gofmt -l $(filter-out ./vendor/%,$(filter %.go,$(SOURCES)))); \
	[ -z "$$out" ] || { echo "not formatted: $$out"; exit 1; }
	$(PROGRESS) $(GO) vet -tags lab,clib,packages,recipes,fresh ./...
	@! { mandoc -T lint -W style packaging/man/*.[3578] 2>/dev/null || true; } | grep -v ': referenced manual not found: '

# Root runs every test or fails; another user is told what was skipped (go test -v).
.PHONY: test-unit
test-unit: export AZFILESAUTH_NO_SKIPS := $(if $(filter 0,$(shell id -u)),1)
test-unit: promtool ## the packages' own tests, with the race detector; as root, none may be skipped
	$(PROGRESS) $(GO) test -count=1 -v -run '^TestPreflight$$' ./internal/lab/needs
	$(PROGRESS) $(GO) test -race ./...
	cd packaging/kubernetes/test && $(CURDIR)/$(PROGRESS) $(GO) test ./...

# Helm's engine and a container's runtime take longer to build than all the rest; the manifests' own tests are in test-unit.
.PHONY: test-kubernetes
test-kubernetes: pods runtime ## the chart by helm's engine, the images, and the pods in containerd and runc, driven by CRI
	cd packaging/helm/test && $(CURDIR)/$(PROGRESS) $(GO) test -count=1 ./...
	cd packaging/images && $(CURDIR)/$(PROGRESS) $(GO) test -count=1 ./...
	$(RUNPODS) -test.run '^TestPods$$'

# Where nothing of it is in the build cache, a kubelet takes fifteen minutes of a processor.
KUBELET := $(CURDIR)/.cache/kubelet/kubelet
.PHONY: test-kubelet
test-kubelet: pods runtime ## the pods of kustomize by a kubelet, which is built first
	cd packaging/kubernetes/kubelet && $(CURDIR)/$(PROGRESS) $(GO) build -tags providerless -ldflags '-s -w' -o $(KUBELET) k8s.io/kubernetes/cmd/kubelet
	$(RUNPODS) -test.run '^TestKubelet$$'

.PHONY: test-kubernetes-guest
test-kubernetes-guest: NEEDS += mke2fs:e2fsprogs
test-kubernetes-guest: deps ## the pods of the chart and of kustomize on a node with a real kernel, which mounts real shares, in a guest
	$(PROGRESS) $(GO) test -tags lab -run '^TestPods$$' -count=1 -timeout 80m -v ./internal/lab

RUNTIME := $(CURDIR)/.cache/containerd
RUNPODS = cd packaging/kubernetes/test && KUBELET=$(KUBELET) CONTAINERD=$(RUNTIME) IMAGES=$(CURDIR)/bin/images AZUREFAKE=$(CURDIR)/bin/images/azurefake $(CURDIR)/$(PROGRESS) ../../../bin/images/pods.test -test.v
.PHONY: runtime
runtime:
	@[ -x $(RUNTIME)/usr/bin/ctr ] || { \
	  mkdir -p $(RUNTIME) && cd $(RUNTIME) && echo "deps: fetching containerd and runc" && \
	  if [ "$$(id -u)" = 0 ]; then apt-get -o DPkg::Lock::Timeout=300 -qq update; fi && apt-get -qq download containerd runc && \
	  for d in *.deb; do dpkg-deb -x $$d . && rm $$d; done; }

# What the tests of the pods are made of.
.PHONY: pods
pods: images
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/images/azurefake ./internal/azurefake/cmd/azurefake
	cd packaging/kubernetes/test && CGO_ENABLED=0 $(GO) build -trimpath -o ../../../bin/images/pause ./pause
	cd packaging/kubernetes/test && CGO_ENABLED=0 $(CURDIR)/$(PROGRESS) $(GO) test -c -ldflags '-s -w' -tags runtime -o ../../../bin/images/pods.test .
	bin/images/write -program bin/images/pause -arch $$($(GO) env GOARCH) -version pause -created '$(COMMITTED)' \
	  -certificates /etc/ssl/certs/ca-certificates.crt -sbom dist/images/azfilesauth-amd64.cdx.json -out bin/images/pause.oci.tar
	ln -f dist/images/*.oci.tar bin/images/

# The series are in virtual time, so the picture changes where the dashboard or the story does.
.PHONY: dashboard
dashboard: ## draws docs/dashboard.svg: the panels of the dashboard by Prometheus, from series that the daemon records in virtual time
	rm -rf .cache/series && mkdir -p .cache/series
	$(GO) test ./watcher -run '^TestRecord$$' -count=1 -args -record $(CURDIR)/.cache/series
	packaging/prometheus/picture .cache/series >docs/dashboard.svg

.PHONY: test-fips
test-fips: ## what encrypts or speaks TLS, with Go's FIPS 140-3 module
	GODEBUG=fips140=on $(PROGRESS) $(GO) test ./internal/azfiles ./internal/compat ./internal/identity ./internal/spnego ./internal/tickets ./mounthelper

.PHONY: test-core
test-core: deps ## the core of the stories, in a guest with a real kernel
	$(PROGRESS) $(GO) test -tags lab -run '^TestCoreStories$$' -count=1 -timeout 30m -v ./internal/lab

.PHONY: test-guest
test-guest: deps ## the stories and the doctor's table of breaks, in a guest with a real kernel
	$(PROGRESS) $(GO) test -tags lab -run '^Test(Stories|Doctor)$$' -count=1 -timeout 40m -v ./internal/lab

.PHONY: test-identities
test-identities: deps ## two identities of an account at once, over eleven tickets of each, in a guest with a real kernel
	$(LAB) test $(if $(SUITE),-suite $(SUITE)) long native/identities

.PHONY: test-data
test-data: deps ## what programs write while tickets expire and the server is restarted, in a guest with a real kernel
	$(LAB) data $(if $(SUITE),-suite $(SUITE)) $(if $(PAGE),-doc $(PAGE)) $(DATA)

.PHONY: test-kernels
test-kernels: deps ## what works with which kernel of Debian's: boots each (KERNELS= some), writes docs/kernels.md and the table of README.md
	$(LAB) kernels $(KERNELS)

.PHONY: test-systemd
test-systemd: NEEDS += $(BOOTNEEDS)
test-systemd: deps ## the stories of boot, in a guest with systemd
	$(PROGRESS) $(GO) test -tags lab -run '^TestBoots$$' -count=1 -timeout 45m -v ./internal/lab

.PHONY: test-upgrade
test-upgrade: NEEDS += mke2fs:e2fsprogs $(DEBNEEDS)
test-upgrade: deps ## a machine of AzFilesAuthenticator, upgraded beside another server's mount, in a guest with systemd
	$(PROGRESS) $(GO) test -tags lab -run '^TestUpgradeBoots$$' -count=1 -timeout 45m -v ./internal/lab

.PHONY: test-policies
test-policies: NEEDS += $(POLICYNEEDS)
test-policies: deps ## the AppArmor profiles and the SELinux module
	$(PROGRESS) packaging/check-policies.sh $(CURDIR)/.cache/policies

# Of another machine's results nothing is written into docs/: PAGE=docs/reliability.md does, of test-data PAGE=docs/sessions.md.
SOAK ?= 25m
PAGE ?=
.PHONY: test-faults
test-faults: deps build ## lets Azure, the network and a server fail in each way, and prints how soon all is well again
	$(GO) run ./internal/lab/cmd/endure faults $(if $(PAGE),-doc $(PAGE)) $(if $(ONLY),-only '$(ONLY)') $(BIN)

.PHONY: soak
soak: deps build ## keeps 50 short-lived tickets for SOAK (25m) while things fail by chance, and draws bin/soak.svg
	$(GO) run ./internal/lab/cmd/endure soak -for $(SOAK) $(if $(SEED),-seed $(SEED)) $(if $(PAGE),-doc $(PAGE)) \
	  -plot $(if $(PAGE),$(dir $(PAGE)),bin/)soak.svg $(BIN)

.PHONY: test-long
test-long: deps test-static test-unit test-fips test-guest test-identities test-data test-kernels test-systemd test-upgrade test-packages test-policies test-recipes test-source test-fresh test-kubernetes test-kubelet test-kubernetes-guest test-faults soak ## runs every suite

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz: $$target in $$pkg"; \
	    $(PROGRESS) $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

# Where deadcode sees no caller: what only tests or callers written in C reach.
UNSEEN := '^internal/(azurefake|clib|lab|log)/'

.PHONY: lint
lint: ## the linters that tools.mod pins
	$(PROGRESS) $(TOOL) golangci-lint run --timeout 15m ./...
	$(PROGRESS) $(TOOL) actionlint
	@all=$$($(TOOL) deadcode -tags clib ./...); dead=$$(grep -vE $(UNSEEN) <<<"$$all" || true); \
	[ -z "$$dead" ] || { echo "$$dead"; exit 1; }

.PHONY: bench
bench: deps build ## medians and ratios, measured in one run
	$(GO) run ./internal/lab/cmd/bench $(BIN)
	$(LAB) bench $(if $(SUITE),-suite $(SUITE))

.PHONY: bench-boot
bench-boot: NEEDS += $(BOOTNEEDS)
bench-boot: deps ## how long systemd takes for UNITS (40) shares of fstab, against mount.cifs alone
	$(LAB) bench-boot $(if $(SUITE),-suite $(SUITE)) $(if $(UNITS),-units $(UNITS))

.PHONY: bench-mount
bench-mount: deps ## what applications feel of mount options, against mount.cifs and Microsoft's line
	$(LAB) bench-mount $(if $(SUITE),-suite $(SUITE))

# Packages: packaging/debian and packaging/rpm are thin over install-package and install-clib.
DOCDIR  = $(PREFIX)/share/doc/azfilesauth
ZSHDIR  = $(PREFIX)/share/zsh/vendor-completions
# Programs that run while a package for another processor is built.
HOSTGO  = env -u GOARCH -u CC CGO_ENABLED=0 $(GO)

.PHONY: install-package
install-package: install-files ## install, and what only packages ship: completions, licences
	@mkdir -p bin
	$(HOSTGO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/host . && trap 'rm -f bin/host' EXIT && \
	install -d $(DESTDIR)$(PREFIX)/share/{bash-completion/completions,fish/vendor_completions.d} $(DESTDIR)$(ZSHDIR) && \
	bin/host completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/azfilesauth && \
	bin/host completion zsh > $(DESTDIR)$(ZSHDIR)/_azfilesauth && \
	bin/host completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/azfilesauth.fish
	ln -sf azfilesauth $(DESTDIR)$(PREFIX)/share/bash-completion/completions/azfilesauthmanager
	ln -sf azfilesauth.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/azfilesauthmanager.fish
	install -d $(DESTDIR)$(DOCDIR)
	packaging/third-party $(CLIB_TAGS) > $(DESTDIR)$(DOCDIR)/THIRD-PARTY

.PHONY: third-party
third-party:
	@packaging/third-party $(CLIB_TAGS)

.PHONY: source
source: NEEDS = $(DEBNEEDS) $(RPMNEEDS)
source: deps ## makes the release's tarball, which builds offline, and source packages of it (.dsc, .src.rpm) in dist/
	packaging/build source

.PHONY: deb
deb: NEEDS = $(BUILDNEEDS) $(DEBNEEDS)
deb: deps ## builds the Debian packages for this machine's kind into dist/
	packaging/build deb $$(dpkg --print-architecture)

.PHONY: rpm
rpm: NEEDS = $(BUILDNEEDS) $(RPMNEEDS)
rpm: deps ## builds the RPM packages for this machine's kind into dist/
	packaging/build rpm $$(dpkg --print-architecture)

.PHONY: packages
packages: NEEDS = $(BUILDNEEDS) $(ARMNEEDS) $(DEBNEEDS) $(RPMNEEDS)
packages: deps ## builds all packages, amd64 and arm64, into dist/
	for a in amd64 arm64; do packaging/build deb $$a; packaging/build rpm $$a; done

.PHONY: images
images: NEEDS = /etc/ssl/certs/ca-certificates.crt:ca-certificates
images: deps ## makes the image for amd64 and arm64, as OCI archives with their bills of materials, below dist/images
	@mkdir -p bin/images dist/images
	cd packaging/images && $(CURDIR)/$(PROGRESS) $(GO) build -o ../../bin/images/write .
	for a in amd64 arm64; do \
	  CGO_ENABLED=0 GOARCH=$$a $(PROGRESS) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/images/azfilesauth-$$a . && \
	  $(MAKE) --no-print-directory -s sbom PROGRAM=bin/images/azfilesauth-$$a >dist/images/azfilesauth-$$a.cdx.json && \
	  bin/images/write -program bin/images/azfilesauth-$$a -arch $$a -version '$(VERSION)' -created '$(COMMITTED)' \
	    -certificates /etc/ssl/certs/ca-certificates.crt -sbom dist/images/azfilesauth-$$a.cdx.json -out dist/images/azfilesauth-$$a.oci.tar; \
	done

# A chart's version is a semantic one, which has no tilde.
CHARTVERSION = $(subst ~,-,$(VERSION))
.PHONY: chart
chart: ## packs the Helm chart into dist/; IMAGE=REPOSITORY is where its pods get the image
	@mkdir -p dist bin && rm -rf bin/chart && mkdir bin/chart && cp -r packaging/helm/azfilesauth bin/chart/
	sed -i -E 's|^(version\|appVersion): .*|\1: $(CHARTVERSION)|' bin/chart/azfilesauth/Chart.yaml
	$(if $(IMAGE),sed -i 's|^  repository: azfilesauth$$|  repository: $(IMAGE)|' bin/chart/azfilesauth/values.yaml)
	tar -C bin/chart --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime='$(or $(COMMITTED),@0)' -cf - azfilesauth | gzip -9n >dist/azfilesauth-$(CHARTVERSION).tgz

# The key is of whoever publishes: KEY=FINGERPRINT, its secret part in gpg's keyring.
URL ?= https://azfilesauth.github.io/azfilesauth
.PHONY: repo
repo: NEEDS = apt-ftparchive:apt-utils createrepo_c:createrepo-c gpg:gpg rpmsign:rpm
repo: deps ## makes signed repositories for apt and dnf of the packages in dist/, below dist/repository
	@[ -n "$(KEY)" ] || { echo "make: name the signing key: make repo KEY=FINGERPRINT" >&2; exit 1; }
	$(PROGRESS) packaging/repository dist dist/repository $(URL) $(KEY)

.PHONY: docs
docs: NEEDS = mkdocs:mkdocs
docs: deps ## makes the site of README and docs, below dist/site
	$(PROGRESS) packaging/site/build dist/site

.PHONY: picture
picture: ## runs the demo and draws what it prints: docs/demo.svg
	$(MAKE) --no-print-directory demo | sed -n '/^Linux .* mounts/,$$p' | packaging/site/picture > bin/demo.svg
	mv bin/demo.svg docs/demo.svg

# Without times and numbers of its own, and with a tool (its checksum is told) that no path changes.
.PHONY: sbom
sbom: ## prints what PROGRAM contains, as a CycloneDX bill of materials in JSON
	@GOFLAGS="$$($(GO) env GOFLAGS) -trimpath" $(GO) tool -modfile=release.mod cyclonedx-gomod bin -json -std -short-purls -noserial -notimestamp \
	  -version $(VERSION) $(PROGRAM)

.PHONY: test-packages
test-packages: NEEDS += $(ROOTNEEDS)
test-packages: deps ## installs, upgrades and removes the packages in roots of Debian 12 and 13
	$(PROGRESS) $(GO) test -tags packages -count=1 -timeout 45m -v ./packaging

.PHONY: test-recipes
test-recipes: NEEDS += ansible-playbook:ansible-core
test-recipes: deps ## the recipes, each by its own tool's reader
	$(PROGRESS) $(GO) test -tags packages,recipes -run '^TestRecipes$$' -count=1 -timeout 20m -v ./packaging

.PHONY: test-source
test-source: NEEDS += $(DEBNEEDS) $(RPMNEEDS)
test-source: deps ## the release's tarball and the source packages, built without a network
	$(PROGRESS) $(GO) test -tags packages,fresh -run '^TestSource$$' -count=1 -timeout 40m -v ./packaging

.PHONY: test-fresh
test-fresh: NEEDS += $(DEBNEEDS)
test-fresh: deps ## builds on a Debian 12 and 13 that have git, make and Go alone
	$(PROGRESS) $(GO) test -tags packages,fresh -run '^TestFreshMachine$$' -count=1 -timeout 40m -v ./packaging

.PHONY: clean
clean: ## removes what the targets made, but not the downloads
	rm -rf bin dist .cache/lab/*/out
