# shellcheck shell=sh
# Sourced by tools.sh: virtual machines, made from the bed's tree (a Debian with systemd and Nix).

# Copies the named kernel modules with everything they depend on. copy_modules MODULES TREE NAME…
copy_modules() {
  _from=$1
  _into=$2/usr/lib/modules/$(basename "$1")
  _root=$2
  shift 2
  [ -r "$_from/modules.dep" ] || return 1
  mkdir -p "$_into"
  for _name; do
    # modules.dep: "path: everything it depends on"; whatever is missing is built in.
    for _module in $(sed -n "s#^\([^:]*/$_name\.ko[^:/]*\):\(.*\)#\1 \2#p" "$_from/modules.dep"); do
      mkdir -p "$_into/$(dirname "$_module")"
      case $_module in
        *.xz) xz -dc "$_from/$_module" >"$_into/${_module%.xz}" ;;
        *) cp "$_from/$_module" "$_into/$_module" ;;
      esac
    done
  done
  cp "$_from"/modules.builtin* "$_from/modules.order" "$_into/"
  chroot "$_root" depmod "$(basename "$_from")"
}

# A machine where devices come and go: udev and file system tools, from EXTRA. add_udev TREE EXTRA
add_udev() {
  rm -rf "$2/usr/share/doc" "$2/usr/share/man" "$2/usr/share/locale"
  cp -a "$2/usr/." "$1/usr/"
  for _unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket; do
    rm -f "$1/etc/systemd/system/$_unit"
  done
  # Nobody needs the hundreds of terminals of user-mode Linux here. Modules: udev makes the kernel check every other second whether
  # a drive has a new disc (60-block.rules).
  mkdir -p "$1/etc/systemd/system/systemd-udev-trigger.service.d"
  printf '[Service]\nExecStart=\nExecStart=/usr/bin/udevadm trigger --action=add --subsystem-match=block --subsystem-match=pci --subsystem-match=usb --subsystem-match=mmc\nExecStart=/usr/bin/udevadm trigger --type=subsystems --action=add --subsystem-match=module\n' \
    >"$1/etc/systemd/system/systemd-udev-trigger.service.d/block.conf"
}

# User-mode Linux and disks for it (test/machines/vm.ts): machines that are restarted and whose power is cut.
ensure_vm() {
  _vm=$nixmaker_cache/vm
  # Made from the bed's tree, so its stamp counts too. Raise the number when what is done here changes.
  _stamp="8 $(cat "$nixmaker_cache/bed/stamp") $(cksum <"$nixmaker_root/test/machines/prepare-vm")"
  if [ "$(cat "$_vm/stamp" 2>/dev/null)" != "$_stamp" ]; then
    need mke2fs "package e2fsprogs: it makes the disk of the virtual machine"
    say "fetching user-mode Linux from Debian's mirror (about 50 MB)…"
    fetch_debian "$_vm" user-mode-linux udev kmod dosfstools e2fsprogs dmsetup xorriso fdisk
    rm -rf "$_vm/tree" "$_vm/run"
    cp -a "$nixmaker_cache/bed/root" "$_vm/run"
    mv "$_vm/root/usr/bin/linux.uml" "$_vm/run/usr/bin/"
    cp -a "$nixmaker_cache/bed/root" "$_vm/tree"
    "$nixmaker_root/test/machines/prepare-vm" "$_vm/tree" || die "the tree for the virtual machine could not be prepared"
    mke2fs -q -t ext4 -d "$_vm/tree" "$_vm/disk" 1500M || die "the disk of the virtual machine could not be made"
    # A second disk, for media: disks to plug and pull (scsi_debug), file systems, devices that fail and stall (dm).
    mv "$_vm/root/usr/lib/uml/modules" "$_vm/modules"
    add_udev "$_vm/tree" "$_vm/root"
    copy_modules "$(echo "$_vm"/modules/*)" "$_vm/tree" sd_mod scsi_debug vfat isofs loop dm-mod f2fs \
      nls_cp437 nls_ascii nls_utf8 nls_iso8859-1 || die "the kernel modules could not be prepared"
    mke2fs -q -t ext4 -d "$_vm/tree" "$_vm/disk-media" 1500M || die "the disk of the virtual machine could not be made"
    rm -rf "$_vm/tree" "$_vm/root" "$_vm/modules"
    mv "$_vm/run" "$_vm/root"
    printf '%s\n' "$_stamp" >"$_vm/stamp"
  fi
  export NIXMAKER_VM="$_vm"
}

# What makes file systems for machines whose store is not on ext4.
ensure_mkfs() {
  _mkfs=$nixmaker_cache/mkfs
  if [ "$(cat "$_mkfs/stamp" 2>/dev/null)" != "1 $_mkfs" ]; then
    say "fetching btrfs, xfs and f2fs from Debian's mirror (about 40 MB)…"
    fetch_debian "$_mkfs" btrfs-progs xfsprogs f2fs-tools
    # For a program that is not started here.
    rm -rf "$_mkfs"/root/usr/lib/python3* "$_mkfs/root/usr/share"
    wrap_programs "$_mkfs" mkfs.btrfs=usr/sbin/mkfs.btrfs mkfs.xfs=usr/sbin/mkfs.xfs mkfs.f2fs=usr/sbin/mkfs.f2fs
    printf '%s\n' "1 $_mkfs" >"$_mkfs/stamp"
  fi
  export NIXMAKER_MKFS="$_mkfs/bin"
}

# QEMU with a Debian kernel that knows USB (test/machines/qemu.ts): real sticks, and a drive whose cache is lost with the
# power. Nothing is shared with the host, so nixmaker is on the disk, compiled; under emulation every start of Node.js counts.
ensure_qemu() {
  _qemu=$nixmaker_cache/qemu
  _stamp="3 $(cat "$nixmaker_cache/bed/stamp") $(cat "$nixmaker_root/test/machines/prepare-vm" "$nixmaker_root/test/machines/prepare-qemu" | cksum)"
  if [ "$(cat "$_qemu/stamp" 2>/dev/null)" != "$_stamp" ]; then
    say "fetching QEMU and a kernel from Debian's mirror (about 110 MB)…"
    fetch_debian "$_qemu" qemu-system-x86 linux-image-amd64 busybox-static udev kmod dosfstools exfatprogs mtools nbdkit xorriso
    for _link in bin sbin lib lib64; do ln -sfn "usr/$_link" "$_qemu/root/$_link"; done
    mkdir -p "$_qemu/root/proc" "$_qemu/root/dev" "$_qemu/root/tmp" "$_qemu/root/var/tmp"
    "$nixmaker_root/test/machines/prepare-qemu" "$_qemu" "$nixmaker_cache/bed/root" || die "QEMU's machine could not be prepared"
    printf '%s\n' "$_stamp" >"$_qemu/stamp"
  fi
  export NIXMAKER_QEMU="$_qemu"
}
