# Sourced by switch-to-configuration: what becomes of the units that run. Which are stopped, started, restarted, reloaded or left alone is decided
# as NixOS decides it (collect_unit_changes, handle_modified_unit and do_system_switch of switch-to-configuration-ng).
# Not here: fstab and swap, the units of users' own managers, and lists that an activation script has written.

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
current=/etc/systemd/system
new=$OUT/etc/systemd/system
newline='
'
tab='	'
# Each list is a file, and what `has` looks into: a variable, for it is asked hundreds of times.
for list in stop start restart reload skip filter failed started; do
  : >"$lists/$list"
  eval "in_$list=\$newline"
done

has() { eval "case \$in_$1 in *\"\$newline\$2\$newline\"*) return 0 ;; *) return 1 ;; esac"; }
put() {
  has "$1" "$2" && return 0
  eval "in_$1=\$in_$1\$2\$newline"
  echo "$2" >>"$lists/$1"
}
# A switch that was cut off is gone on with by the next one.
record() {
  put "$1" "$2"
  [ "$action" = dry-activate ] || echo "$2" >>"/run/nixos/$1-list"
}
drop() {
  if has "$1" "$2"; then
    sed -i "\|^$2\$|d" "$lists/$1"
    eval "in_$1=\$newline"
    while read -r kept; do eval "in_$1=\$in_$1\$kept\$newline"; done <"$lists/$1"
  fi
  [ ! -e "/run/nixos/$1-list" ] || sed -i "\|^$2\$|d" "/run/nixos/$1-list"
}
# The names in a list, as people read them; $2: a list of names that are not said.
names() { sort -f "$lists/$1" | if [ -n "${2:-}" ]; then grep -vxFf "$lists/$2" || true; else cat; fi; }
say() {
  [ -s "$lists/$2" ] || return 0
  said=$(names "$2" "${3:-}" | paste -sd , | sed 's/,/, /g')
  [ -z "$said" ] || echo "$1: $said" >&2
}

is_true() { case $1 in 1 | yes | true | on) return 0 ;; *) return 1 ;; esac; }

# For each unit file and its drop-ins, now and in the new system ([Install] left out): whether they differ, whether only in what a reload takes
# up, and what the file says of itself, "-" where it says nothing. One look at all of them.
compare='
  BEGIN {
    ignored = "^\\[Unit\\](X-Reload-Triggers|Description|Documentation|OnFailure|OnSuccess|OnFailureJobMode|IgnoreOnIsolate|StopWhenUnneeded|RefuseManualStart|RefuseManualStop|AllowIsolate|CollectMode|SourcePath)$"
    reloaded = "^(\\[Service\\]ExecReload|\\[Mount\\]Options)$"
    triggers = "[Unit]X-Reload-Triggers"
  }
  FNR == 1 { section = ""; if (!(unit in seen)) { seen[unit]; order[++units] = unit } }
  /^\[/ { section = $0; next }
  section == "[Install]" || /^[ \t]*([#;]|$)/ { next }
  {
    at = index($0, "="); key = substr($0, 1, at - 1); value = substr($0, at + 1)
    gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value)
    key = section key
    if (!((unit, key) in known)) { known[unit, key]; keys[unit] = keys[unit] key "\n" }
    all[side, unit, key] = all[side, unit, key] value "\n"
    last[side, unit, key] = value
  }
  function says(side, unit, key) { return (side, unit, key) in last && last[side, unit, key] != "" ? last[side, unit, key] : "-" }
  function differs(unit, key) { return all["current", unit, key] != all["new", unit, key] }
  END {
    for (i = 1; i <= units; i++) {
      unit = order[i]; count = split(keys[unit], list, "\n"); change = 0; reload = 0
      for (k = 1; k < count; k++) {
        key = list[k]; isReloaded = key ~ reloaded || key == triggers
        if (isReloaded && ("new", unit, key) in all) isThere = 1
        if (isReloaded && differs(unit, key)) reload = 1
        if (key !~ ignored && key !~ reloaded && differs(unit, key)) change = 1
      }
      sockets = all["new", unit, "[Service]Sockets"]; gsub(/\n/, " ", sockets)
      print unit, change, reload && isThere, says("current", unit, "[Unit]X-StopOnRemoval"), says("new", unit, "[Unit]RefuseManualStart"), \
        says("new", unit, "[Unit]X-OnlyManualStart"), says("new", unit, "[Unit]X-StopOnReconfiguration"), says("new", unit, "[Unit]RefuseManualStop"), \
        says("new", unit, "[Service]X-ReloadIfChanged"), says("new", unit, "[Service]X-RestartIfChanged"), says("new", unit, "[Service]X-StopIfChanged"), \
        says("new", unit, "[Service]X-NotSocketActivated"), sockets
      isThere = 0
    }
  }'

# The file that stands for a unit: its own, or its template's. Sets `base`.
base_of() {
  base=$1
  if [ "${1#*@}" != "$1" ] && [ ! -e "$current/$1" ] && [ ! -e "$new/$1" ]; then base=${1%%@*}@.${1##*.}; fi
}

plan_units() {
  for list in start restart reload; do
    [ -e "/run/nixos/$list-list" ] || continue
    while read -r unit; do put "$list" "$unit"; done <"/run/nixos/$list-list"
  done
  systemctl show --property=Id,FragmentPath,ActiveState '*' | awk -F = '
    /^Id=/ { id = substr($0, 4) } /^FragmentPath=/ { path = substr($0, 14) } /^ActiveState=/ { state = $2 }
    /^$/ { if (id != "" && state != "inactive") print id "\t" state "\t" path; id = path = state = "" }
    END { if (id != "" && state != "inactive") print id "\t" state "\t" path }' >"$lists/active"
  in_active=$newline
  ours=$newline
  set --
  while IFS=$tab read -r unit state fragment; do
    in_active=$in_active$unit$newline
    case $fragment in "$current"/*) ;; *) continue ;; esac
    base_of "$unit"
    [ -e "$current/$base" ] || continue
    case $state in active | activating) ;; *) continue ;; esac
    echo "$unit$tab$base" >>"$lists/ours"
    case $ours in *"$newline$base$newline"*) continue ;; esac
    ours=$ours$base$newline
    set -- "$@" "unit=$base"
    for side in current new; do
      eval "folder=\$$side"
      set -- "$@" "side=$side"
      for file in "$folder/$base" "$folder/$base.d"/*.conf; do [ ! -f "$file" ] || set -- "$@" "$file"; done
    done
  done <"$lists/active"
  [ $# -gt 0 ] || return 0
  awk -v OFS="$tab" "$compare" "$@" >"$lists/compared"
  while IFS=$tab read -r unit base; do
    while IFS=$tab read -r name change reload stopOnRemoval refuseStart onlyManual stopOnReconfiguration refuseStop \
      reloadIf restartIf stopIf notActivated sockets; do
      [ "$name" = "$base" ] || continue
      plan_unit "$unit"
      break
    done <"$lists/compared"
  done <"$lists/ours"
}

# What stands of a unit’s file in plan_units’ variables, or a default.
says() { if [ "$1" = - ]; then is_true "$2"; else is_true "$1"; fi; }

plan_unit() {
  unit=$1
  if [ ! -e "$new/$base" ] || [ "$new/$base" -ef /dev/null ]; then
    if says "$stopOnRemoval" true; then put stop "$unit"; fi
    return 0
  fi
  case $unit in
    *.target)
      # All active targets are started again, and waited for: with them whatever they want and is not there.
      case $unit in suspend.target | hibernate.target | hybrid-sleep.target) ;; *)
        if ! says "$refuseStart" false && ! says "$onlyManual" false; then
          record start "$unit"
          put filter "$unit"
        fi ;;
      esac
      if says "$stopOnReconfiguration" false; then put stop "$unit"; fi
      return 0
      ;;
  esac
  if [ "$change" = 1 ]; then
    plan_changed "$unit"
  elif [ "$reload" = 1 ] && ! has restart "$unit"; then
    record reload "$unit"
  fi
}

plan_changed() {
  unit=$1
  case $unit in
    sysinit.target | basic.target | multi-user.target | graphical.target | *.path | *.slice | *.socket) return 0 ;;
    -.mount | nix.mount) record reload "$unit" && return 0 ;;
    *.mount) record restart "$unit" && return 0 ;;
  esac
  if says "$reloadIf" false && ! has restart "$unit" && ! has stop "$unit"; then
    record reload "$unit"
    return 0
  fi
  # In [Service]: nowhere else is it looked for.
  if ! says "$restartIf" true || says "$refuseStop" false || says "$onlyManual" false; then
    put skip "$unit"
    return 0
  fi
  if [ "${unit%.service}" = "$unit" ] || ! says "$stopIf" true; then
    record restart "$unit"
  else
    plan_sockets "${base%.service}"
    $activated || record start "$unit"
    put stop "$unit"
  fi
  drop reload "$unit"
}

# Sets `activated`: whether a socket will start the service again.
plan_sockets() {
  activated=false
  for socket in ${sockets:-"${1%@}.socket"}; do
    if has active "$socket"; then
      put stop "$socket"
      [ ! -e "$new/$socket" ] || { record start "$socket" && activated=true; }
    elif [ -e "$new/$socket" ]; then activated=true; fi
  done
  if says "$notActivated" false; then activated=false; fi
}

tell_units() {
  say 'would stop the following units' stop filter
  say 'would NOT stop the following changed units' skip
  say 'would reload the following units' reload
  say 'would restart the following units' restart
  say 'would start the following units' start filter
}

stop_units() {
  say 'stopping the following units' stop filter
  [ ! -s "$lists/stop" ] || xargs systemctl stop -- <"$lists/stop" || true
  say 'NOT restarting the following changed units' skip
}

# each VERB LIST: jobs for all of them, then waits. Their failing is told, and known by the exit code.
each() {
  [ -s "$lists/$2" ] || return 0
  if ! xargs systemctl "$1" -- <"$lists/$2" 2>"$lists/said"; then
    sed -n "s/^Job for \([^ ]*\) failed.*/Failed to $1 \1/p; s/^Failed to [a-z]* \([^:]*\): \(.*\)/Failed to $1 \1: \2/p" "$lists/said" >&2
    code=4
  fi
  rm -f "/run/nixos/$2-list"
}

start_units() {
  if [ "$(readlink -f /proc/1/exe)" != "$(readlink -f "$SYSTEMD/lib/systemd/systemd")" ]; then
    echo 'restarting systemd...' >&2
    systemctl daemon-reexec
  fi
  systemctl reset-failed
  systemctl daemon-reload
  # Ends with whatever error number is left, midway as it is.
  if ! busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListUsers >/dev/null 2>"$lists/said"; then
    echo "Unable to list users with logind: $(cat "$lists/said")" >&2
    exit 11
  fi
  echo 'restarting sysinit-reactivation.target' >&2
  systemctl restart sysinit-reactivation.target 2>"$lists/said" || {
    echo "Failed to restart sysinit-reactivation.target: $(cat "$lists/said")" >&2
    code=4
  }
  while read -r unit; do
    case $(systemctl is-active "$unit" || true) in active | activating) continue ;; esac
    [ ! -e "$new/$unit" ] || record start "$unit"
    drop reload "$unit"
  done <"$lists/reload"
  say 'reloading the following units' reload
  each reload reload
  say 'restarting the following units' restart
  each restart restart
  say 'starting the following units' start filter
  each start start
  tell_outcome
}

tell_outcome() {
  systemctl list-units --plain --no-legend --no-pager --full | awk '{ print $1 "\t" $3 "\t" $4 }' >"$lists/now"
  while IFS=$tab read -r unit state sub; do
    if [ "$state" = failed ]; then
      put failed "$unit"
    elif [ "$sub" = auto-restart ] && [ "$(systemctl show --property=ExecMainStatus --value "$unit")" != 0 ]; then
      put failed "$unit"
    elif [ "${unit%.scope}" = "$unit" ] && ! has active "$unit"; then
      put started "$unit"
    fi
  done <"$lists/now"
  say 'the following new units were started' started
  [ -s "$lists/failed" ] || return 0
  say 'warning: the following units failed' failed
  xargs systemctl status --no-pager --full -- <"$lists/failed" >&2 || true
  code=4
}
