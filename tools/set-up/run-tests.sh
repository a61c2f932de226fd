# shellcheck shell=sh
# Sourced by scripts/test and scripts/test-vm.

# Which of the tests that take turns are in this run (test/support/slow-files.ts): the commit says, so that the next has others.
if [ -z "${NIXMAKER_TURN:-}" ]; then
  # Whoever owns the checkout: nothing of it is run.
  if _commit=$(git -c 'safe.directory=*' rev-parse --verify --quiet HEAD 2>/dev/null); then
    NIXMAKER_TURN=$((0x$(printf %.6s "$_commit") % 4))
  else
    say "no commit says whose turn it is: all slow files are run"
    NIXMAKER_TURN=all
  fi
fi
export NIXMAKER_TURN

# run_tests ARGUMENT…: node --test on the command line as installed, compiled once for all tests. With
# tests_in_memory=yes what they write stays in memory, if there is enough of it.
run_tests() {
  NIXMAKER_COMPILED=$(node test/machines/compile.ts)
  export NIXMAKER_COMPILED
  # Nothing of the caller's decides how a test ends: one that needs other locales, zones, colours or folders sets them
  # itself. Node.js gives no colours where CI is set, whatever the terminal (tty.WriteStream.getColorDepth).
  unset NO_COLOR FORCE_COLOR NODE_DISABLE_COLORS COLORTERM CI LINES COLUMNS LANGUAGE SOURCE_DATE_EPOCH SSH_AUTH_SOCK \
    SUDO_UID SUDO_GID SUDO_USER JOURNAL_STREAM INVOCATION_ID NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID \
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR \
    NIX_REMOTE NIX_CONFIG NIX_CONF_DIR NIX_USER_CONF_FILES NIX_PATH NIX_SSHOPTS NIX_BUILD_HOOK NIX_DAEMON_SOCKET_PATH \
    NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR \
    GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS
  LC_ALL=C.UTF-8
  TZ=UTC
  export LC_ALL TZ
  umask 022
  set -- node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=./test/support/durations.ts --test-reporter-destination="test/out/${durations:-durations}.json" "$@"
  # The tests' stores and machines in memory, in a file system that goes with the last of them: Nix and nixmaker wait for
  # the disk dozens of times for each bundle they take. What a power cut leaves on a disk is for test/vm.
  if [ "${tests_in_memory:-}" = yes ] && [ "$(id -u)" = 0 ] && [ "$(free_memory)" -ge 6000000 ]; then
    TMPDIR=$(mktemp -d)
    export TMPDIR
    # Nor do they write where this machine's own nixmaker would.
    # shellcheck disable=SC2016
    set -- unshare --mount --propagation private sh -euc '
      mount -t tmpfs -o mode=1777,size=75% nixmaker-tests "$TMPDIR"
      mount --bind /var/lib /var/lib
      mount -o remount,bind,ro /var/lib
      exec "$@"' sh "$@"
    _code=0
    "$@" || _code=$?
    rmdir "$TMPDIR"
    exit "$_code"
  fi
  exec "$@"
}

# In kibibytes.
free_memory() { sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo; }
