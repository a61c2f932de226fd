# shellcheck shell=sh
# Sourced by scripts/test and scripts/test-vm.

# run_tests ARGUMENT…: node --test on the command line as installed, compiled once for all tests. With
# tests_in_memory=yes what they write stays in memory, if there is enough of it.
run_tests() {
  NIXMAKER_COMPILED=$(node test/machines/compile.ts)
  export NIXMAKER_COMPILED
  # A test that needs other locales and zones sets them itself.
  LC_ALL=C.UTF-8
  TZ=UTC
  export LC_ALL TZ
  set -- node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=./test/support/durations.ts --test-reporter-destination=test/out/durations.json "$@"
  # The tests' stores and machines in memory, in a file system that goes with the last of them: Nix and nixmaker wait for
  # the disk dozens of times for each bundle they take. What a power cut leaves on a disk is for test/vm.
  if [ "${tests_in_memory:-}" = yes ] && [ "$(id -u)" = 0 ] && [ "$(free_memory)" -ge 6000000 ]; then
    TMPDIR=$(mktemp -d)
    export TMPDIR
    # shellcheck disable=SC2016
    set -- unshare --mount --propagation private sh -euc 'mount -t tmpfs -o mode=1777,size=75% nixmaker-tests "$TMPDIR"; exec "$@"' sh "$@"
    _code=0
    "$@" || _code=$?
    rmdir "$TMPDIR"
    exit "$_code"
  fi
  exec "$@"
}

# In kibibytes.
free_memory() { sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo; }
