#!/bin/sh
# The sample systems' switch-to-configuration: same verbs, lock, files and order as NixOS's own.
set -eu
toplevel=@toplevel@
action=${1:-}

case $action in
  check | boot | switch | test | dry-activate) ;;
  *)
    echo "usage: switch-to-configuration check|boot|switch|test|dry-activate" >&2
    exit 1
    ;;
esac

mkdir -p /run/nixos
exec 8>/run/nixos/switch-to-configuration.lock
flock -n 8 || {
  echo "could not acquire lock" >&2
  exit 11
}

[ "$action" = check ] && exit 0

# Some things can't be changed while the machine runs; the boot loader may have the new system all the same.
case $action in
  switch | test)
    # The real one compares every key that both systems have; the samples know one.
    bus() { sed -n 's/.*"dbus" *: *"\([^"]*\)".*/\1/p' "$1/switch-inhibitors" 2>/dev/null || true; }
    before=$(bus /run/current-system)
    after=$(bus "$toplevel")
    if [ -n "$before" ] && [ -n "$after" ] && [ "$before" != "$after" ]; then
      echo "there are changes to critical components of the system: dbus" >&2
      exit 1
    fi
    ;;
esac

# The boot entries: one for each generation of the system profile, the newest as default.
install_boot_loader() {
  mkdir -p /boot/loader/entries
  for link in /nix/var/nix/profiles/system-*-link; do
    [ -L "$link" ] || continue
    number=${link#/nix/var/nix/profiles/system-}
    number=${number%-link}
    target=$(readlink "$link")
    printf 'title NixOS\nversion Generation %s\noptions init=%s/init\n' "$number" "$target" \
      >"/boot/loader/entries/nixos-generation-$number.conf.tmp"
    mv "/boot/loader/entries/nixos-generation-$number.conf.tmp" "/boot/loader/entries/nixos-generation-$number.conf"
  done
  profile=$(readlink /nix/var/nix/profiles/system || echo none)
  number=${profile#system-}
  number=${number%-link}
  printf 'default nixos-generation-%s.conf\n' "$number" >/boot/loader/loader.conf.tmp
  mv /boot/loader/loader.conf.tmp /boot/loader/loader.conf
}

case $action in
  boot | switch)
    install_boot_loader
    sync -f /boot
    sync -f /nix/store
    ;;
esac
[ "$action" = boot ] && exit 0
if [ "$action" = dry-activate ]; then
  echo "would activate the configuration in $toplevel"
  exit 0
fi

echo "activating the configuration..." >&2
ln -sfn "$toplevel" /run/.current-system.new
mv -T /run/.current-system.new /run/current-system
echo "the system is now: $(cat "$toplevel/etc/motd")" >&2
