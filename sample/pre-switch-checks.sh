#!/bin/sh
# pre-switch-checks TOPLEVEL VERB: what must hold before a switch (nixpkgs, system.preSwitchChecks). Of NixOS's own checks there is one:
# some things can't be changed while the machine runs; the boot loader may have the new system all the same
# (nixpkgs, system.switch.inhibitors). It knows every verb but `boot`, and so `check` fails as `switch` would.
incoming=$1
action=$2
fails() {
  echo "Pre-switch check '$1' failed"
  exit 1
}

inhibitors() {
  [ "$action" != boot ] || return 0
  printf 'Checking switch inhibitors...' >&2
  read_file /run/current-system/switch-inhibitors
  running=$contents
  read_file "$incoming/switch-inhibitors"
  diff=
  # Nearly always they are the same, and then no program is needed to see it.
  [ "$contents" = "$running" ] || diff=$(
    pairs /run/current-system | while IFS='	' read -r key before; do
      pairs "$incoming" | while IFS='	' read -r other after; do
        [ "$key" != "$other" ] || [ "$before" = "$after" ] || echo "$key : $before -> $after"
      done
    done
  )
  if [ -z "$diff" ]; then
    echo ' done' >&2
    return 0
  fi
  cat >&2 <<TEXT

There are changes to critical components of the system:

$diff

Switching into this system is not recommended.
You probably want to run 'nixos-rebuild boot' and reboot your system instead.

If you really want to switch into this configuration directly, then
you can set NIXOS_NO_CHECK=1 to ignore pre-switch checks.

WARNING: doing so might cause the switch to fail or your system to become unstable.

TEXT
  return 1
}

# Sets `contents`: a file's, as one line; nothing where there is none.
read_file() {
  contents=
  [ ! -f "$1" ] || while IFS= read -r line || [ -n "$line" ]; do contents="$contents$line "; done <"$1"
}

# KEY and VALUE of a JSON map of strings, the only form NixOS writes; anything else counts as an empty map.
pairs() {
  [ -f "$1/switch-inhibitors" ] || return 0
  tr '\n' ' ' <"$1/switch-inhibitors" | sed -n 's/^ *{\(.*\)} *$/\1/p' | tr ',' '\n' |
    sed -n 's/^ *"\([^"]*\)" *: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1	\2/p'
}

inhibitors || fails switchInhibitors
exit 0
