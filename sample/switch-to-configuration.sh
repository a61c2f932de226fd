#!/bin/sh
# The sample systems' switch-to-configuration. In verbs, order, files, messages and exit codes it does what NixOS's own does
# (nixpkgs, pkgs/by-name/sw/switch-to-configuration-ng/src/main.rs); where a machine has the real one in
# /opt/nixos, that is run instead.
set -eu
OUT=@toplevel@
TOPLEVEL=$OUT
INSTALL_BOOTLOADER=$OUT/libexec/install-boot-loader
PRE_SWITCH_CHECK=$OUT/libexec/pre-switch-checks
SYSTEMD=/usr
DISTRO_ID=
[ ! -r /etc/os-release ] || while IFS= read -r line || [ -n "$line" ]; do
  case $line in ID=*) DISTRO_ID=${line#ID=} ;; esac
done </etc/os-release
LOCALE_ARCHIVE=
export OUT TOPLEVEL INSTALL_BOOTLOADER PRE_SWITCH_CHECK SYSTEMD DISTRO_ID LOCALE_ARCHIVE
[ ! -x /opt/nixos/install-boot-loader ] || INSTALL_BOOTLOADER=/opt/nixos/install-boot-loader
[ ! -x /opt/nixos/switch-to-configuration ] || exec /opt/nixos/switch-to-configuration "$@"

action=${1:-}
case $action in
  check | boot | switch | test | dry-activate) ;;
  *)
    cat >&2 <<'USAGE'
Usage: switch-to-configuration [check|switch|boot|test|dry-activate]
check:        run pre-switch checks and exit
switch:       make the configuration the boot default and activate now
boot:         make the configuration the boot default
test:         activate the configuration, but don't make it the boot default
dry-activate: show what would be done if this configuration were activated
USAGE
    exit 1
    ;;
esac
export NIXOS_ACTION="$action"

mkdir -p /run/nixos
chmod 0755 /run/nixos
exec 8>>/run/nixos/switch-to-configuration.lock
# EAGAIN, by which perl's die() would end.
flock -n 8 || {
  echo "Could not acquire lock" >&2
  exit 11
}

# All of them before anything is done, for every verb: they are told which it is.
if [ "${NIXOS_NO_CHECK:-}" != 1 ] && ! "$PRE_SWITCH_CHECK" "$TOPLEVEL" "$action"; then
  echo "Pre-switch checks failed" >&2
  exit 1
fi
[ "$action" != check ] || exit 0

case $action in
  boot | switch)
    "$INSTALL_BOOTLOADER" "$TOPLEVEL" || {
      echo "Failed to install bootloader" >&2
      exit 1
    }
    ;;
esac
[ "${NIXOS_NO_SYNC:-}" = 1 ] || sync -f /nix/store
[ "$action" != boot ] || exit 0

# Sets `version`.
read_version() {
  version=
  [ ! -r "$1/init-interface-version" ] || read -r version <"$1/init-interface-version" || true
}
read_version /run/current-system
running=$version
read_version "$TOPLEVEL"
# (A machine of the samples' may have no system yet, as no NixOS has.)
if [ -e /run/current-system ] && [ "$running" != "$version" ]; then
  cat >&2 <<'WARNING'
Warning: the new NixOS configuration has an ‘init’ that is
incompatible with the current configuration.  The new configuration
won't take effect until you reboot the system.

WARNING
  exit 100
fi

# Without a systemd there are no units: then an activation is its script.
if [ -d /run/systemd/system ]; then
  . "$OUT/libexec/switch-units"
  plan_units
else
  plan_units() { :; }
  stop_units() { :; }
  start_units() { :; }
fi

code=0
if [ "$action" = dry-activate ]; then
  [ ! -d /run/systemd/system ] || tell_units
  echo "would activate the configuration..." >&2
  "$OUT/dry-activate" "$OUT" || true
  exit 0
fi

stop_units
echo "activating the configuration..." >&2
"$OUT/activate" "$OUT" || {
  echo "Failed to run activate script" >&2
  code=2
}
start_units
exit "$code"
