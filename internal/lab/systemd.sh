#!/bin/bash
# systemd.sh CACHE SUITE OUT: makes OUT/vmlinuz and OUT/root, the Debian half of the systemd guest.
#
# OUT/root is a configured Debian with systemd as PID 1, the client's programs and Samba. The cloud
# kernel has NVMe and ext4 built in, so that neither an initramfs nor udev is needed. It runs as root,
# because the tree has many owners, and installs nothing on this machine.
set -euo pipefail
SUITE=$2 OUT=$3 ROOT=$3/root KERNEL=$3/kernel
trap 'rm -rf "$KERNEL"' EXIT

PACKAGES=systemd,systemd-sysv,kmod,mount,util-linux,iproute2,cifs-utils,keyutils,krb5-user,samba,logrotate,procps,apparmor
MODULES="cifs cmac hmac md4 md5 sha512_generic sha256_generic ccm gcm ctr ecb aesni_intel ghash_generic ghash_clmulni_intel
  nls_utf8 dns_resolver veth autofs4"
# What a machine without devices and terminals does not need, what would run the packages' Samba beside
# ours, and the profiles that Debian has for other programs.
MASKED="getty@tty1.service getty.target serial-getty@ttyS0.service console-getty.service
  e2scrub_reap.service e2scrub_all.timer fstrim.timer dpkg-db-backup.timer logrotate.timer
  apparmor.service smbd.service nmbd.service samba.service samba-ad-dc.service winbind.service
  systemd-random-seed.service systemd-binfmt.service systemd-pstore.service systemd-hwdb-update.service
  systemd-journal-catalog-update.service systemd-update-done.service systemd-firstboot.service ldconfig.service
  modprobe@drm.service modprobe@efi_pstore.service modprobe@configfs.service modprobe@dm_mod.service modprobe@loop.service
  modprobe@fuse.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
  sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.automount"

tree() {
  local site signed="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  site=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$') ||
    { echo "no Debian archive is configured for apt on this machine" >&2; exit 1; }
  # The hook fetches the kernel without installing it: its scripts would make an initramfs.
  mmdebstrap --quiet --mode=root --variant=essential --include="$PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="mkdir -p $KERNEL && cd $KERNEL && export APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG &&
      apt-get -qq -o APT::Sandbox::User=root download \$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')" \
    "$SUITE" "$ROOT" "deb $signed $site $SUITE main" "deb $signed ${site%/debian/}/debian-security/ $SUITE-security main"
}

slim() { # Samba's server does without Python, which is a quarter of the tree
  rm -rf "$ROOT"/usr/lib/python3* "$ROOT"/usr/lib/x86_64-linux-gnu/libpython* "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/cache/apt/*
}

kernel() { # kernel and the few modules that are loaded
  local version modules=$ROOT/usr/lib/modules
  dpkg-deb -x "$KERNEL"/linux-image-*.deb "$KERNEL/tree"
  version=$(basename "$KERNEL"/tree/lib/modules/*)
  cp "$KERNEL/tree/boot/vmlinuz-$version" "$OUT/vmlinuz"
  mkdir -p "$modules"
  mv "$KERNEL/tree/lib/modules/$version" "$modules/"
  chroot "$ROOT" depmod "$version"
  for m in $MODULES; do
    chroot "$ROOT" modprobe -S "$version" --show-depends "$m" || true # built in, in some suites
  done 2>/dev/null | awk -v root="$ROOT" '$1 == "insmod" {sub("^/lib/", "/usr/lib/", $2); print root $2}' | sort -u >"$KERNEL/wanted"
  find "$modules" -name '*.ko*' | sort | comm -23 - "$KERNEL/wanted" | xargs rm -f
  chroot "$ROOT" depmod "$version"
}

settle() { # what an administrator would not leave to chance: who Samba's user is, and what runs
  local unit
  echo 'azurefileclient:x:1500:1500:whom Samba takes AzureFileClient for:/tmp:/bin/false' >>"$ROOT/etc/passwd"
  echo 'azurefileclient:x:1500:' >>"$ROOT/etc/group"
  echo 0123456789abcdef0123456789abcdef >"$ROOT/etc/machine-id"
  for unit in $MASKED; do ln -sf /dev/null "$ROOT/etc/systemd/system/$unit"; done
  ln -sf /lib/systemd/system/multi-user.target "$ROOT/etc/systemd/system/default.target"
}

rm -rf "$OUT"
mkdir -p "$OUT"
tree
slim
kernel
settle
