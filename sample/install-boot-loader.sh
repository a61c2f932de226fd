#!/bin/sh
# install-boot-loader TOPLEVEL: the menu of systemd-boot, in names, order and contents as NixOS's builder of 2026 writes it
# (nixpkgs, nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py). Its settings are the lines of
# /boot/builder.conf (KEY=VALUE): limit, tries, profile. A specialisation has an entry of its own; the entry whose system is
# TOPLEVEL is the default.
set -eu
default_config=$1
boot=/boot
limit=0
tries=
profile=/nix/var/nix/profiles/system
[ ! -r "$boot/builder.conf" ] || . "$boot/builder.conf"
entries=$boot/loader/entries
files=$boot/EFI/nixos
mkdir -p "$entries" "$files"
keep=$(mktemp)
trap 'rm -f "$keep"; sync -f "$boot"' EXIT

# The name under which a file of the store lies on the boot partition.
boot_name() {
  path=$(readlink -f "$1")
  inside=${path#/nix/store/}
  first=${inside%%/*}
  last=${inside##*/}
  if [ "$first" = "$last" ]; then echo "$last.efi"; else echo "$first-$last.efi"; fi
}

copy() {
  name=$(boot_name "$1")
  if [ ! -e "$files/$name" ]; then
    cp "$(readlink -f "$1")" "$files/$name.tmp"
    sync "$files/$name.tmp"
    mv "$files/$name.tmp" "$files/$name"
  fi
  echo "$files/$name" >>"$keep"
}

default_entry=
# write_entry SYSTEM GENERATION [SPECIALISATION]
write_entry() {
  system=$1
  # (A stranger's system of a test may lack them.)
  for part in kernel initrd; do [ ! -e "$system/$part" ] || copy "$system/$part"; done
  text=$(printf 'title NixOS%s\nversion Generation %s %s\nlinux /EFI/nixos/%s\ninitrd /EFI/nixos/%s\noptions init=%s/init %s\nsort-key nixos' \
    "${3:+ ($3)}" "$2" "$(cat "$system/nixos-version")" "$(boot_name "$system/kernel")" "$(boot_name "$system/initrd")" \
    "$system" "$(cat "$system/kernel-params")")
  hash=$(printf '%s' "$text" | sha256sum)
  id=nixos-${hash%% *}
  entry=
  for found in "$entries/$id.conf" "$entries/$id"+*.conf; do
    if [ -e "$found" ] && [ "$(cat "$found")" = "$text" ]; then entry=$found; fi
  done
  if [ -z "$entry" ]; then
    entry=$entries/$id${tries:+"+$tries"}.conf
    printf '%s' "$text" >"$entry.tmp"
    sync "$entry.tmp"
    mv "$entry.tmp" "$entry"
  fi
  echo "$entry" >>"$keep"
  [ "$system" != "$default_config" ] || default_entry=$id.conf
}

generations() {
  for link in "$profile"-*-link; do
    [ -L "$link" ] || continue
    number=${link#"$profile"-}
    echo "${number%-link}"
  done | sort -n | if [ "$limit" -gt 0 ]; then tail -n "$limit"; else cat; fi
}

numbers=$(generations)
if [ -z "$numbers" ]; then
  echo "error: no system generations found in ${profile%/*}, refusing to remove all boot loader entries" >&2
  exit 1
fi
for number in $numbers; do
  toplevel=$(readlink "$profile-$number-link")
  write_entry "$toplevel" "$number"
  for variant in "$toplevel"/specialisation/*; do
    [ ! -e "$variant" ] || write_entry "$(readlink -f "$variant")" "$number" "${variant##*/}"
  done
done

# open("x"): what a run that was cut off has left makes every later one fail.
if [ -e "$boot/loader/loader.tmp" ]; then
  echo "FileExistsError: [Errno 17] File exists: '$boot/loader/loader.tmp'" >&2
  exit 1
fi
if [ -z "$default_entry" ]; then
  printf 'default nixos-*\n'
elif [ -n "$tries" ]; then
  printf 'preferred %s\ndefault nixos-*\n' "$default_entry"
else
  printf 'default %s\n' "$default_entry"
fi >"$boot/loader/loader.tmp"
sync "$boot/loader/loader.tmp"
mv "$boot/loader/loader.tmp" "$boot/loader/loader.conf"

# Only now what is no longer in the menu goes, kernels and all.
for file in "$files"/* "$entries"/nixos-*.conf; do
  [ ! -f "$file" ] || grep -qxF -- "$file" "$keep" || rm "$file"
done
