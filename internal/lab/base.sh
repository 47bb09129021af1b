#!/bin/bash
# base.sh CACHE SUITE OUT [PACKAGES PROGRAMS MODULES]: makes OUT/vmlinuz and OUT/base.cpio, the Debian half of the
# guest, with the packages, programs and kernel modules that every guest has and those that are named.
#
# SUITE is a suite of Debian's, which may end with -backports, for the kernel of its backports, and then with
# -generic, for the kernel of real machines in place of the one of clouds. All else is the suite's own.
#
# Nothing is installed on this machine and root is not needed: the packages are downloaded with
# lists of their own, unpacked beside each other, and the wanted programs are copied out together
# with the libraries that the unpacked loader says they need. CACHE keeps the downloads.
set -euo pipefail
CACHE=$1 SUITE=$2 OUT=$3 MORE_PACKAGES=${4-} MORE_PROGRAMS=${5-} MORE_MODULES=${6-} IMAGE=linux-image-cloud-amd64
case $SUITE in *-generic) SUITE=${SUITE%-generic} IMAGE=linux-image-amd64 ;; esac
BACKPORTS=
case $SUITE in *-backports) BACKPORTS=$SUITE SUITE=${SUITE%-backports} IMAGE=$IMAGE/$BACKPORTS ;; esac
LISTS=$CACHE/apt STAGE=$OUT/stage ROOT=$OUT/root LIB=/usr/lib/x86_64-linux-gnu LOADER=/lib64/ld-linux-x86-64.so.2
trap 'rm -rf "$STAGE" "$ROOT"' EXIT

PACKAGES="samba cifs-utils keyutils krb5-user busybox-static iproute2 kmod util-linux mount dash libc-bin $MORE_PACKAGES"
PROGRAMS="/usr/bin/dash /usr/bin/busybox /usr/bin/kmod /usr/bin/ip /usr/bin/getent
  /usr/bin/mount /usr/bin/umount /usr/bin/findmnt /usr/bin/setpriv /usr/bin/unshare
  /usr/sbin/mount.cifs /usr/sbin/cifs.upcall /usr/sbin/request-key /usr/sbin/key.dns_resolver /usr/bin/keyctl
  /usr/bin/klist /usr/bin/kvno /usr/sbin/smbd /usr/bin/smbstatus $MORE_PROGRAMS"
# busybox has no link for ip and mount: its own would hide the real ones.
APPLETS="awk cat chmod chown cp cut date dd dmesg echo env false find grep head id kill ln ls mkdir mv
  od poweroff ps rm rmdir sed sha256sum sleep sort stat stty sync syslogd tail tar timeout touch tr true uname usleep wc"
MODULES="cifs veth dns_resolver cmac hmac md4 md5 sha256_generic sha512_generic ccm gcm ctr ecb
  aesni_intel ghash_generic ghash_clmulni_intel nls_utf8 $MORE_MODULES"

APT=(apt-get -qq -y -o Dir::State="$LISTS" -o Dir::State::status="$LISTS/status" -o Dir::Cache="$LISTS"
  -o Dir::Etc::sourcelist="$LISTS/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o APT::Architecture=amd64)

fetch() { # the whole closure, whatever this machine has installed
  local site signed="[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  site=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$') ||
    { echo "no Debian archive is configured for apt on this machine" >&2; exit 1; }
  mkdir -p "$LISTS/lists/partial" "$LISTS/archives/partial" "$LISTS/none/partial"
  : >"$LISTS/status"
  {
    for suite in "$SUITE" $BACKPORTS; do printf "deb $signed %s %s main\n" "$site" "$suite"; done
    # What is fixed in unstable needs no other archive.
    [ "$SUITE" = unstable ] || printf "deb $signed %s %s main\n" "${site%/debian/}/debian-security/" "$SUITE-security"
  } >"$LISTS/sources.list"
  "${APT[@]}" update
  # The image itself: the package that names it has gone from some archives.
  IMAGE=$("${APT[@]}" -s install "$IMAGE" | awk '/^Inst linux-image-[0-9]/ {print $2}')${BACKPORTS:+/$BACKPORTS}
  # What is in the archives already has no URI to print, so this looks into another folder.
  "${APT[@]}" -o Dir::Cache::archives="$LISTS/none" install --print-uris "$IMAGE" $PACKAGES | sed "s/^'[^']*' \([^ ]*\) .*/\1/" >"$OUT/packages"
  "${APT[@]}" install --download-only "$IMAGE" $PACKAGES >/dev/null
}

skeleton() { # skeleton DIR: a merged /usr, as Debian has it
  mkdir -p "$1"/usr/{bin,sbin,lib,lib64}
  for d in bin sbin lib lib64; do ln -s usr/$d "$1/$d"; done
}

unpack() {
  skeleton "$STAGE"
  while read -r deb; do
    dpkg-deb --fsys-tarfile "$LISTS/archives/$deb" | tar -x -C "$STAGE" --keep-directory-symlink --no-same-owner
  done <"$OUT/packages"
  for k in klist kvno; do # alternatives, in newer suites
    [ -e "$STAGE/usr/bin/$k" ] || ln -s $k.mit "$STAGE/usr/bin/$k"
  done
  case $(readlink "$STAGE$LOADER") in /*) ln -sf "$STAGE$(readlink "$STAGE$LOADER")" "$STAGE$LOADER" ;; esac # before glibc 2.34
}

staged() { # staged NAME FILE ARG...: runs an unpacked program with its own loader and libraries
  local name=$1 file=$2; shift 2
  mkdir -p "$STAGE/names" # glibc before 2.33 gives a program no other name than its path
  ln -sf "$STAGE$file" "$STAGE/names/$name"
  "$STAGE$LOADER" --inhibit-cache \
    --library-path "$STAGE$LIB:$STAGE$LIB/samba" "$STAGE/names/$name" "$@"
}

needed() { # the files that the programs need, themselves included; smbd and glibc before 2.34 load some by name
  local file
  [ ! -e "$STAGE$LIB/libnss_files.so.2" ] || echo "$LIB/libnss_files.so.2"
  for file in $PROGRAMS $(cd "$STAGE" && find .$LIB/samba/{service,pdb,auth} -name '*.so' 2>/dev/null | cut -c2-); do
    [ -e "$STAGE$file" ] || { echo "no package has $file" >&2; exit 1; }
    echo "$file"
    case $file in */busybox) continue ;; esac # static
    "$STAGE$LOADER" --inhibit-cache --library-path "$STAGE$LIB:$STAGE$LIB/samba" --list "$STAGE$file" |
      awk -v s="$STAGE" '$2 == "=>" {f = $3} $1 ~ /^\// {f = $1} f != "" {sub(s, "", f); print f; f = ""}'
  done
  echo $LOADER
}

fill() {
  skeleton "$ROOT"
  needed | sort -u >"$OUT/files"
  while read -r file; do
    mkdir -p "$ROOT$(dirname "$file")"
    cp -L "$STAGE$file" "$ROOT$file"
  done <"$OUT/files"
  ln -s dash "$ROOT/usr/bin/sh"
  for a in $APPLETS; do ln -s busybox "$ROOT/usr/bin/$a"; done
  ln -s ../bin/kmod "$ROOT/usr/sbin/modprobe"
  mkdir -p "$ROOT"/etc/request-key.d
  cp "$STAGE"/etc/request-key.conf "$ROOT/etc/"
  cp "$STAGE"/etc/request-key.d/*.conf "$ROOT/etc/request-key.d/"
}

kernel() {
  local version modules file
  version=$(basename "$STAGE"/lib/modules/*)
  for file in "boot/vmlinuz-$version" "lib/modules/$version/vmlinuz"; do # beside its modules, from Linux 7 on
    [ ! -e "$STAGE/$file" ] || cp "$STAGE/$file" "$OUT/vmlinuz"
  done
  staged depmod /usr/bin/kmod -b "$STAGE" "$version"
  modules=$(for m in $MODULES; do
    staged modprobe /usr/bin/kmod -d "$STAGE" -S "$version" --show-depends "$m" || true # built in, in some suites
  done 2>/dev/null | awk '$1 == "insmod" {print $2}' | sort -u)
  for m in $modules; do
    install -D -m 644 "$m" "$ROOT${m#"$STAGE"}"
  done
  cp "$STAGE/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$ROOT/lib/modules/$version/"
  staged depmod /usr/bin/kmod -b "$ROOT" "$version"
}

rm -rf "$STAGE" "$ROOT"
mkdir -p "$OUT"
fetch
unpack
fill
kernel
# Not compressed: unpacking would take an emulated processor longer than reading.
(cd "$ROOT" && find . -print0 | cpio --null -o -H newc --quiet -R 0:0) >"$OUT/base.cpio"
