#!/bin/bash
# debian.sh CACHE SUITE TREE: unpacks the packages of a Debian suite that the checks look at into TREE.
#
# The packages are downloaded with lists of their own, from the archive that apt on this machine uses,
# and kept in CACHE. Nothing is installed and no script of a package is run.
set -euo pipefail
CACHE=$1 SUITE=$2 TREE=$3
PACKAGES="cifs-utils keyutils krb5-config base-files base-passwd"

APT=(apt-get -qq -y -o Dir::State="$CACHE" -o Dir::State::status="$CACHE/status" -o Dir::Cache="$CACHE"
  -o Dir::Etc::sourcelist="$CACHE/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root -o APT::Architecture=amd64)

fetch() {
  local site signed="[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  site=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$') ||
    { echo "no Debian archive is configured for apt on this machine" >&2; exit 1; }
  mkdir -p "$CACHE/lists/partial" "$CACHE/archives/partial" "$CACHE/debs"
  : >"$CACHE/status"
  echo "deb $signed $site $SUITE main" >"$CACHE/sources.list"
  "${APT[@]}" update
  (cd "$CACHE/debs" && "${APT[@]}" download $PACKAGES)
  touch "$CACHE/complete"
}

mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9 # another test run may be fetching
[ -e "$CACHE/complete" ] || fetch
flock -u 9
mkdir -p "$TREE"/usr/{bin,sbin,lib,lib64}
for d in bin sbin lib lib64; do ln -s usr/$d "$TREE/$d"; done
for deb in "$CACHE"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$TREE" --keep-directory-symlink
done
# What the packages' scripts make of their files.
mkdir -p "$TREE/etc/krb5.conf.d"
cp "$TREE/usr/share/kerberos-configs/krb5.conf.template" "$TREE/etc/krb5.conf"
cp "$TREE/usr/share/base-passwd/passwd.master" "$TREE/etc/passwd"
