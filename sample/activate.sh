#!/bin/sh
# activate: the activation script: /etc's unit files become the new system's, and /run/current-system is it.
set -eu
new=@toplevel@
units=/etc/systemd/system
if [ -d /run/systemd/system ] && [ -d "$units" ]; then
  # NixOS links the folder as a whole; here it is shared with what the machine came with.
  # One program for all of them: a machine has dozens.
  set --
  for file in "$units"/*; do [ ! -L "$file" ] || set -- "$@" "$file"; done
  [ $# -eq 0 ] || readlink "$@" | while IFS= read -r target; do
    case $target in
      /nix/store/*) [ -e "$new/etc/systemd/system/${1##*/}" ] || rm "$1" ;;
    esac
    shift
  done
  set --
  for file in "$new"/etc/systemd/system/*; do [ ! -e "$file" ] || set -- "$@" "$file"; done
  [ $# -eq 0 ] || ln -sfn -t "$units" "$@"
fi
if [ -d "$new/etc/nixmaker" ]; then
  mkdir -p /etc/nixmaker
  ln -sfn -t /etc/nixmaker "$new"/etc/nixmaker/*
fi
mkdir -p /run
ln -sfn "$new" /run/.current-system.new
mv -T /run/.current-system.new /run/current-system
echo "the system is now: $(cat "$new/etc/motd")" >&2
