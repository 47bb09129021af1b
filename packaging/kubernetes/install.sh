#!/bin/sh
# Puts the mount helper and the upcall on a node, whose root is mounted at the first argument, and
# takes them away again with --remove. It is what a node's package manager would do; use that where
# there is one.
#
# Every file is written beside its place and renamed, so a mount that starts meanwhile finds either
# the old one or the new one. A configuration that is there stays as it is.
set -eu

usage() { echo "usage: install.sh [--remove] HOST_ROOT" >&2; exit 2; }

remove=
[ "${1:-}" = --remove ] && { remove=1; shift; }
[ $# -eq 1 ] || usage
host=${1%/}
own=${OWN_ROOT:-} # where the package lies, for tests
[ -d "$host/usr" ] && [ -d "$host/etc" ] || { echo "install.sh: $host is not the root of a node: it has no usr and etc" >&2; exit 1; }

links='usr/bin/azfilesauthmanager usr/sbin/mount.azfiles usr/sbin/azfiles.upcall'

put() { # MODE PATH
  mkdir -p "$host/${2%/*}"
  install -m "$1" "$own/$2" "$host/$2.new"
  mv -f "$host/$2.new" "$host/$2"
}

point() { # LINK
  mkdir -p "$host/${1%/*}"
  ln -sfn /usr/bin/azfilesauth "$host/$1.new"
  mv -fT "$host/$1.new" "$host/$1"
}

if [ -n "$remove" ]; then
  # The rule goes first: without it the kernel asks the handler that the node had before.
  rm -f "$host/etc/request-key.d/azfiles.conf"
  for l in $links; do rm -f "$host/$l"; done
  rm -f "$host/usr/bin/azfilesauth"
  echo "install.sh: removed; /etc/azfilesauth and the tickets stay"
  exit 0
fi

put 0755 usr/bin/azfilesauth
for l in $links; do point "$l"; done
[ -e "$host/etc/azfilesauth/config.yaml" ] || put 0600 etc/azfilesauth/config.yaml
put 0644 etc/request-key.d/azfiles.conf # last: from now on the kernel asks us
echo "install.sh: installed $("$own/usr/bin/azfilesauth" --version 2>/dev/null | head -n 1)"

for need in sbin/mount.cifs:cifs-utils sbin/request-key:keyutils; do
  [ -e "$host/${need%%:*}" ] || [ -e "$host/usr/${need%%:*}" ] ||
    echo "install.sh: the node lacks /${need%%:*}: install the package ${need##*:}" >&2
done
