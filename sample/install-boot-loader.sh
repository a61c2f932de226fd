#!/bin/sh
# install-boot-loader TOPLEVEL: the menu of systemd-boot, in names, order and contents as NixOS's builder of 2026 writes it
# (nixpkgs, nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py). Its settings are the lines of
# /boot/builder.conf (KEY=VALUE): limit, tries, profile. A specialisation has an entry of its own; the entry whose system is
# TOPLEVEL is the default. What needs a program is asked for all systems at once: a machine of the tests has dozens.
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
work=$(mktemp -d)
trap 'rm -rf "$work"; sync -f "$boot"' EXIT
newline='
'
# Files of the boot partition that belong to the menu, one a line.
keep=$newline

# Sets `contents`: those of a file, but for the ends of its last lines.
read_file() {
  contents=
  gap=
  while IFS= read -r line || [ -n "$line" ]; do
    if [ -z "$line" ]; then
      gap=$gap$newline
    else
      contents=$contents${contents:+$newline}$gap$line
      gap=
    fi
  done <"$1"
}

# Sets `name`: that under which a file of the store lies on the boot partition.
boot_name() {
  inside=${1#/nix/store/}
  first=${inside%%/*}
  last=${inside##*/}
  if [ "$first" = "$last" ]; then name=$last.efi; else name=$first-$last.efi; fi
}

# copy PATH: a kernel or an initrd, unless it is there.
copy() {
  boot_name "$1"
  # (A stranger's system of a test may lack them.)
  [ -e "$1" ] || return 0
  if [ ! -e "$files/$name" ]; then
    cp "$1" "$files/$name.tmp"
    sync "$files/$name.tmp"
    mv "$files/$name.tmp" "$files/$name"
  fi
  keep=$keep$files/$name$newline
}

# GENERATION, system and name of the specialisation ("-" for none) of each entry, oldest first.
systems() {
  for link in "$profile"-*-link; do
    [ -L "$link" ] || continue
    number=${link#"$profile"-}
    echo "${number%-link}"
  done | sort -n | if [ "$limit" -gt 0 ]; then tail -n "$limit"; else cat; fi >"$work/numbers"
  set --
  while read -r number; do set -- "$@" "$profile-$number-link"; done <"$work/numbers"
  [ $# -gt 0 ] || return 0
  readlink "$@" | paste "$work/numbers" - | while read -r number toplevel; do
    echo "$number $toplevel -"
    for variant in "$toplevel"/specialisation/*; do
      [ ! -e "$variant" ] || echo "$number $(readlink -f "$variant") ${variant##*/}"
    done
  done
}
systems >"$work/systems"
if [ ! -s "$work/systems" ]; then
  echo "error: no system generations found in ${profile%/*}, refusing to remove all boot loader entries" >&2
  exit 1
fi

set --
while read -r _ system _; do set -- "$@" "$system/kernel" "$system/initrd"; done <"$work/systems"
readlink -m "$@" | paste - - | paste -d ' ' "$work/systems" - >"$work/parts"

# The text of each entry, numbered as it stands there; its name is made of its digest.
count=0
while read -r number system variant kernel initrd; do
  copy "$kernel"
  linux=$name
  copy "$initrd"
  read_file "$system/nixos-version"
  version=$contents
  read_file "$system/kernel-params"
  title=NixOS
  [ "$variant" = - ] || title="NixOS ($variant)"
  count=$((count + 1))
  printf 'title %s\nversion Generation %s %s\nlinux /EFI/nixos/%s\ninitrd /EFI/nixos/%s\noptions init=%s/init %s\nsort-key nixos' \
    "$title" "$number" "$version" "$linux" "$name" "$system" "$contents" >"$work/$(printf %06d "$count")"
done <"$work/parts"
(cd "$work" && sha256sum [0-9]*) | paste -d ' ' - "$work/systems" >"$work/entries"

default_entry=
while read -r hash file _ system _; do
  id=nixos-$hash
  read_file "$work/$file"
  text=$contents
  entry=
  for found in "$entries/$id.conf" "$entries/$id"+*.conf; do
    [ -e "$found" ] || continue
    read_file "$found"
    if [ "$contents" = "$text" ]; then entry=$found; fi
  done
  if [ -z "$entry" ]; then
    entry=$entries/$id${tries:+"+$tries"}.conf
    cp "$work/$file" "$entry.tmp"
    sync "$entry.tmp"
    mv "$entry.tmp" "$entry"
  fi
  keep=$keep$entry$newline
  [ "$system" != "$default_config" ] || default_entry=$id.conf
done <"$work/entries"

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
  case $keep in *"$newline$file$newline"*) ;; *) [ ! -f "$file" ] || rm "$file" ;; esac
done
