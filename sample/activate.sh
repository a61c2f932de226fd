#!/bin/sh
# activate: the activation script: /etc's unit files become the new system's, and /run/current-system is it.
set -eu
new=@toplevel@
units=/etc/systemd/system
if [ -d /run/systemd/system ] && [ -d "$units" ]; then
  # NixOS links the folder as a whole; here it is shared with what the machine came with.
  for file in "$units"/*; do
    [ -L "$file" ] || continue
    case $(readlink "$file") in
      /nix/store/*) [ -e "$new/etc/systemd/system/${file##*/}" ] || rm "$file" ;;
    esac
  done
  for file in "$new"/etc/systemd/system/*; do
    [ ! -e "$file" ] || ln -sfn "$file" "$units/${file##*/}"
  done
fi
if [ -d "$new/etc/nixmaker" ]; then
  mkdir -p /etc/nixmaker
  for file in "$new"/etc/nixmaker/*; do ln -sfn "$file" "/etc/nixmaker/${file##*/}"; done
fi
mkdir -p /run
ln -sfn "$new" /run/.current-system.new
mv -T /run/.current-system.new /run/current-system
echo "the system is now: $(cat "$new/etc/motd")" >&2
