# Sourced by switch-to-configuration: what becomes of the units that run. Which are stopped, started, restarted, reloaded or left alone is decided
# as NixOS decides it (collect_unit_changes, handle_modified_unit and do_system_switch of switch-to-configuration-ng).
# Not here: fstab and swap, the units of users' own managers, and lists that an activation script has written.

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
current=/etc/systemd/system
new=$OUT/etc/systemd/system
for list in stop start restart reload skip filter; do : >"$lists/$list"; done

has() { grep -qxF -- "$2" "$lists/$1"; }
put() { has "$1" "$2" || echo "$2" >>"$lists/$1"; }
# A switch that was cut off is gone on with by the next one.
record() {
  put "$1" "$2"
  [ "$action" = dry-activate ] || echo "$2" >>"/run/nixos/$1-list"
}
drop() {
  sed -i "\|^$2\$|d" "$lists/$1"
  [ ! -e "/run/nixos/$1-list" ] || sed -i "\|^$2\$|d" "/run/nixos/$1-list"
}
# The names in a list, as people read them; $2: a list of names that are not said.
names() { sort -f "$lists/$1" | if [ -n "${2:-}" ]; then grep -vxFf "$lists/$2" || true; else cat; fi; }
say() {
  said=$(names "$2" "${3:-}" | paste -sd , | sed 's/,/, /g')
  [ -z "$said" ] || echo "$1: $said" >&2
}

# SECTION, KEY and value of a unit file and its drop-ins, one a line, [Install] left out.
flat() {
  cat "$1" "$1".d/*.conf 2>/dev/null | awk '
    /^\[/ { section = $0; next }
    section == "[Install]" || /^[ \t]*([#;]|$)/ { next }
    { at = index($0, "="); key = substr($0, 1, at - 1); value = substr($0, at + 1)
      gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value)
      print section key "\t" value }'
}
# flag FILE [SECTION]KEY DEFAULT
flag() {
  value=$(flat "$1" | awk -F '\t' -v key="$2" '$1 == key { last = $2 } END { print last }')
  case ${value:-$3} in 1 | yes | true | on) return 0 ;; *) return 1 ;; esac
}
ignored='^\[Unit\](X-Reload-Triggers|Description|Documentation|OnFailure|OnSuccess|OnFailureJobMode|IgnoreOnIsolate|StopWhenUnneeded|RefuseManualStart|RefuseManualStop|AllowIsolate|CollectMode|SourcePath)	'
reloaded='^(\[Service\]ExecReload|\[Mount\]Options)	'
of() { flat "$1" | grep -E "$2" | sort || true; }
but() { flat "$1" | grep -vE "$2|$3" | sort -s -t '	' -k 1,1 || true; }

plan_units() {
  for list in start restart reload; do
    [ ! -e "/run/nixos/$list-list" ] || cat "/run/nixos/$list-list" >>"$lists/$list"
  done
  systemctl show --property=Id,FragmentPath,ActiveState '*' | awk -F = '
    /^Id=/ { id = substr($0, 4) } /^FragmentPath=/ { path = substr($0, 14) } /^ActiveState=/ { state = $2 }
    /^$/ { if (id != "" && state != "inactive") print id "\t" state "\t" path; id = path = state = "" }
    END { if (id != "" && state != "inactive") print id "\t" state "\t" path }' >"$lists/active"
  while IFS='	' read -r unit state fragment; do
    case $fragment in "$current"/*) plan_unit "$unit" "$state" ;; esac
  done <"$lists/active"
}

plan_unit() {
  unit=$1
  base=$unit
  if [ "${unit#*@}" != "$unit" ] && [ ! -e "$current/$unit" ] && [ ! -e "$new/$unit" ]; then base=${unit%%@*}@.${unit##*.}; fi
  [ -e "$current/$base" ] || return 0
  case $2 in active | activating) ;; *) return 0 ;; esac
  if [ ! -e "$new/$base" ] || [ "$(readlink -f "$new/$base")" = /dev/null ]; then
    if flag "$current/$base" '[Unit]X-StopOnRemoval' true; then put stop "$unit"; fi
    return 0
  fi
  case $unit in
    *.target)
      # All active targets are started again, and waited for: with them whatever they want and is not there.
      case $unit in suspend.target | hibernate.target | hybrid-sleep.target) ;; *)
        if ! flag "$new/$base" '[Unit]RefuseManualStart' false && ! flag "$new/$base" '[Unit]X-OnlyManualStart' false; then
          record start "$unit"
          put filter "$unit"
        fi ;;
      esac
      if flag "$new/$base" '[Unit]X-StopOnReconfiguration' false; then put stop "$unit"; fi
      return 0
      ;;
  esac
  if [ "$(but "$current/$base" "$ignored" "$reloaded")" != "$(but "$new/$base" "$ignored" "$reloaded")" ]; then
    plan_changed "$unit" "$base"
  elif after=$(of "$new/$base" "$reloaded|^\[Unit\]X-Reload-Triggers	") && [ -n "$after" ] &&
    [ "$(of "$current/$base" "$reloaded|^\[Unit\]X-Reload-Triggers	")" != "$after" ] && ! has restart "$unit"; then
    record reload "$unit"
  fi
}

plan_changed() {
  unit=$1
  file=$new/$2
  case $unit in
    sysinit.target | basic.target | multi-user.target | graphical.target | *.path | *.slice | *.socket) return 0 ;;
    -.mount | nix.mount) record reload "$unit" && return 0 ;;
    *.mount) record restart "$unit" && return 0 ;;
  esac
  if flag "$file" '[Service]X-ReloadIfChanged' false && ! has restart "$unit" && ! has stop "$unit"; then
    record reload "$unit"
    return 0
  fi
  # In [Service]: nowhere else is it looked for.
  if ! flag "$file" '[Service]X-RestartIfChanged' true || flag "$file" '[Unit]RefuseManualStop' false ||
    flag "$file" '[Unit]X-OnlyManualStart' false; then
    put skip "$unit"
    return 0
  fi
  if [ "${unit%.service}" = "$unit" ] || ! flag "$file" '[Service]X-StopIfChanged' true; then
    record restart "$unit"
  else
    plan_sockets "$unit" "$file" "${2%.service}"
    $activated || record start "$unit"
    put stop "$unit"
  fi
  drop reload "$unit"
}

# Sets `activated`: whether a socket will start the service again.
plan_sockets() {
  activated=false
  sockets=$(flat "$2" | sed -n 's/^\[Service\]Sockets	//p')
  for socket in ${sockets:-"${3%@}.socket"}; do
    if cut -f 1 "$lists/active" | grep -qxF -- "$socket"; then
      put stop "$socket"
      [ ! -e "$new/$socket" ] || { record start "$socket" && activated=true; }
    elif [ -e "$new/$socket" ]; then activated=true; fi
  done
  if flag "$2" '[Service]X-NotSocketActivated' false; then activated=false; fi
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
  : >"$lists/failed"
  : >"$lists/started"
  while IFS='	' read -r unit state sub; do
    if [ "$state" = failed ]; then
      put failed "$unit"
    elif [ "$sub" = auto-restart ] && [ "$(systemctl show --property=ExecMainStatus --value "$unit")" != 0 ]; then
      put failed "$unit"
    elif [ "${unit%.scope}" = "$unit" ] && ! cut -f 1 "$lists/active" | grep -qxF -- "$unit"; then
      put started "$unit"
    fi
  done <"$lists/now"
  say 'the following new units were started' started
  [ -s "$lists/failed" ] || return 0
  say 'warning: the following units failed' failed
  xargs systemctl status --no-pager --full -- <"$lists/failed" >&2 || true
  code=4
}
