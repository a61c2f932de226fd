# shellcheck shell=sh
# Sourced by the commands in scripts/. Makes sure of Node.js, the npm packages and Nix, and puts them on PATH.
#
# Everything goes into one cache folder ($NIXMAKER_CACHE, else $XDG_CACHE_HOME/nixmaker, else
# ~/.cache/nixmaker) and into ./node_modules. Nothing is installed on the machine, and an existing Nix installation
# is left alone. Prints what it fetches; prints nothing when nothing is missing.

nixmaker_root=$(cd "$(dirname "$0")/.." && pwd)
nixmaker_cache=${NIXMAKER_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/nixmaker}

say() { printf 'nixmaker set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 69; }

need() { # need PROGRAM WHY
  command -v "$1" >/dev/null 2>&1 || die "the program '$1' is missing ($2). Install it and run the same command again."
}

on_nixos() { [ -e /etc/NIXOS ]; }

node_is_recent() { # node_is_recent NODE
  # 24.6 or newer: zstd with dictionaries, type stripping without a flag.
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 6) ? 0 : 1)' >/dev/null 2>&1
}

nix_is_recent() { # nix_is_recent NIX
  # 2.24 is the oldest Nix whose command line the project can use unchanged.
  # `nix (Nix) 2.34.8`, `nix (Lix, like Nix) 2.93.0`, `nix (Determinate Nix 3.4.1) 2.28.2`: the version it is compatible with comes last.
  _version=$("$1" --version 2>/dev/null | sed -n 's/^nix (.*Nix.*) \([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p')
  [ -n "$_version" ] || return 1
  # shellcheck disable=SC2086
  set -- $_version
  [ "$1" -gt 2 ] || { [ "$1" -eq 2 ] && [ "$2" -ge 24 ]; }
}

ensure_node() {
  if command -v node >/dev/null 2>&1 && node_is_recent node; then return; fi
  _dir=$nixmaker_cache/node
  _stamp=$(cksum <"$nixmaker_root/tools/set-up/toolchain/package-lock.json")
  if [ "$(cat "$_dir/stamp" 2>/dev/null)" != "$_stamp" ]; then
    if on_nixos; then
      # The npm build of Node needs /lib64/ld-linux*, which NixOS lacks; nixpkgs' own is the right one there.
      need nix "NixOS without the nix program?"
      say "fetching Node.js 24 from nixpkgs…"
      rm -rf "$_dir" && mkdir -p "$_dir"
      nix --extra-experimental-features 'nix-command flakes' build --out-link "$_dir/out" nixpkgs#nodejs_24 ||
        die "Node.js 24 could not be had from nixpkgs. Put a Node.js 24 or newer on PATH and run the same command again."
      mkdir -p "$_dir/bin"
      for _p in node npm npx; do ln -sf "$_dir/out/bin/$_p" "$_dir/bin/$_p"; done
    else
      need npm "it fetches Node.js 24"
      say "fetching Node.js 24 (about 60 MB)…"
      rm -rf "$_dir" && mkdir -p "$_dir/bin"
      cp "$nixmaker_root/tools/set-up/toolchain/package.json" "$nixmaker_root/tools/set-up/toolchain/package-lock.json" \
        "$nixmaker_root/tools/set-up/toolchain/.npmrc" "$_dir/"
      (cd "$_dir" && npm ci --loglevel=error) >&2 ||
        die "Node.js 24 could not be had from the npm registry. Put a Node.js 24 or newer on PATH and run the same command again."
      for _n in "$_dir"/node_modules/node-linux-*/bin/node; do
        [ -x "$_n" ] && ln -sf "$_n" "$_dir/bin/node"
      done
    fi
    "$_dir/bin/node" --version >/dev/null 2>&1 ||
      die "the fetched Node.js does not run on this machine. Put a Node.js 24 or newer on PATH and run the same command again."
    printf '%s\n' "$_stamp" >"$_dir/stamp"
  fi
  PATH=$_dir/bin:$PATH
}

ensure_packages() {
  _stamp=$(cksum <"$nixmaker_root/package-lock.json")
  if [ "$(cat "$nixmaker_root/node_modules/.nixmaker-stamp" 2>/dev/null)" != "$_stamp" ]; then
    need npm "it fetches the project's packages"
    say "fetching the npm packages of package-lock.json…"
    # Programs in packages that are linked against glibc find no loader on NixOS; the musl builds are static.
    _libc=
    on_nixos && _libc=--libc=musl
    # shellcheck disable=SC2086
    (cd "$nixmaker_root" && npm ci $_libc --loglevel=error) >&2 ||
      die "the npm packages could not be had (the message above says why). Run the same command again when the registry can be reached."
    printf '%s\n' "$_stamp" >"$nixmaker_root/node_modules/.nixmaker-stamp"
  fi
  PATH=$nixmaker_root/node_modules/.bin:$PATH
  for _biome in "$nixmaker_root"/node_modules/@biomejs/cli-linux-*-musl/biome; do
    if [ -x "$_biome" ]; then export BIOME_BINARY="$_biome"; fi
  done
}

# Debian's 'forky' has a recent Nix (and systemd) as ordinary packages. They are unpacked into the cache: no
# package is installed, no maintainer script runs, and from the host's apt sources only the mirror's address is read; nothing
# there is changed. apt checks the suite's signature and every package's digest.
# fetch_debian DIR PACKAGE…: unpacks the packages and everything they depend on into DIR/root. From another suite: debian_suite=…
fetch_debian() {
  _dir=$1
  shift
  need apt-get "it fetches packages from Debian's mirror"
  need dpkg-deb "it unpacks packages"
  _mirror=$(sed -n 's/^URIs:[[:space:]]*//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
  [ -n "$_mirror" ] || _mirror=$(sed -n 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
  [ -n "$_mirror" ] || die "no Debian mirror is named in /etc/apt, so $* can't be fetched."
  _keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$_keyring" ] || die "$_keyring is missing (package debian-archive-keyring), so $* can't be fetched safely."
  _packages=$*
  rm -rf "$_dir" && mkdir -p "$_dir/apt/lists/partial" "$_dir/cache/archives/partial" "$_dir/root" "$_dir/bin"
  printf 'deb [signed-by=%s] %s %s main\n' "$_keyring" "$_mirror" "${debian_suite:-forky}" >"$_dir/sources.list"
  : >"$_dir/status"
  # Valid-Until: a mirror's snapshot may be older than apt likes; signature and digests are still checked.
  set -- -o Dir::Etc::sourcelist="$_dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State="$_dir/apt" -o Dir::State::status="$_dir/status" -o Dir::Cache="$_dir/cache" \
    -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false \
    -o APT::Architecture="$(dpkg --print-architecture)" \
    -o Acquire::Languages=none -o Debug::NoLocking=1 -o APT::Sandbox::User=
  apt-get "$@" update -q >&2 || die "Debian's mirror could not be read (the message above says why)."
  # shellcheck disable=SC2086
  apt-get "$@" install -y -q --download-only $_packages >&2 </dev/null ||
    die "$_packages could not be fetched from Debian's mirror (the message above says why)."
  say "unpacking…"
  # base-files first: it has the links from /bin to /usr/bin.
  for _deb in "$_dir"/cache/archives/base-files_*.deb "$_dir"/cache/archives/*.deb; do
    [ -e "$_deb" ] || continue
    dpkg-deb -x "$_deb" "$_dir/root" || die "$_deb could not be unpacked"
  done
  rm -rf "$_dir/cache" "$_dir/apt"
}

# Programs separate from the host's, started through their own dynamic loader. wrap_programs DIR NAME=PATH…
wrap_programs() {
  _dir=$1
  shift
  _triplet=$(cd "$_dir/root/usr/lib" && echo *-linux-gnu)
  _loader=$(cd "$_dir/root" && for _l in usr/lib64/ld-linux-*.so.* usr/lib/ld-linux-*.so.* "usr/lib/$_triplet"/ld-linux-*.so.*; do
    [ -e "$_l" ] && echo "$_l" && break; done)
  for _pair; do
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nR="%s/root"\nexec "$R/%s" --argv0 %s --library-path "$R/usr/lib/%s:$R/usr/lib:$R/lib/%s" "$R/%s" "$@"\n' \
      "$_dir" "$_loader" "${_pair%%=*}" "$_triplet" "$_triplet" "${_pair#*=}" >"$_dir/bin/${_pair%%=*}"
    chmod +x "$_dir/bin/${_pair%%=*}"
  done
}

fetch_nix() {
  say "fetching Nix from Debian's mirror (about 45 MB)…"
  fetch_debian "$1" nix-bin
  _nix=usr/bin/nix
  wrap_programs "$1" nix=$_nix nix-store=$_nix nix-env=$_nix nix-build=$_nix nix-daemon=$_nix nix-instantiate=$_nix \
    nix-collect-garbage=$_nix nix-hash=$_nix
}

# What carries pools to machines in the tests, rsync and rclone; and third-party tools that read tars or check Python.
ensure_carriers() {
  _carriers=$nixmaker_cache/carriers
  if [ "$(cat "$_carriers/stamp" 2>/dev/null)" != "4 $_carriers" ]; then
    say "fetching rsync, rclone, readers of tars and of Python from Debian's mirror (about 60 MB)…"
    # Not in forky at present.
    debian_suite=trixie
    fetch_debian "$_carriers" rsync rclone libarchive-tools 7zip busybox python3 python3-pyflakes mypy
    unset debian_suite
    wrap_programs "$_carriers" rsync=usr/bin/rsync rclone=usr/bin/rclone bsdtar=usr/bin/bsdtar 7za=usr/lib/7zip/7za \
      busybox=usr/bin/busybox python3=usr/bin/python3
    printf '%s\n' "4 $_carriers" >"$_carriers/stamp"
  fi
  export NIXMAKER_CARRIERS="$_carriers/bin"
}

# Servers that pools are fetched from in the tests: nginx, and one that is compatible with S3.
ensure_servers() {
  _servers=$nixmaker_cache/servers
  _from=$nixmaker_root/tools/set-up/object-store
  _stamp="3 $_servers $(cksum <"$_from/package-lock.json")"
  if [ "$(cat "$_servers/stamp" 2>/dev/null)" != "$_stamp" ]; then
    say "fetching nginx from Debian's mirror and an object store from npm (about 15 MB)…"
    debian_suite=trixie
    fetch_debian "$_servers" nginx openssl
    unset debian_suite
    wrap_programs "$_servers" nginx=usr/sbin/nginx openssl=usr/bin/openssl ip=usr/bin/ip
    mkdir "$_servers/object-store"
    cp "$_from/package.json" "$_from/package-lock.json" "$_from/.npmrc" "$_servers/object-store/"
    (cd "$_servers/object-store" && npm ci --ignore-scripts --loglevel=error) >&2 ||
      die "the object store for the tests could not be had from the npm registry."
    printf '%s\n' "$_stamp" >"$_servers/stamp"
  fi
  export NIXMAKER_SERVERS="$_servers"
}

# An HSM in software, and what talks to HSMs.
ensure_hsm() {
  _hsm=$nixmaker_cache/hsm
  if [ "$(cat "$_hsm/stamp" 2>/dev/null)" != "1 $_hsm" ]; then
    say "fetching SoftHSM and OpenSC from Debian's mirror (about 20 MB)…"
    debian_suite=trixie
    fetch_debian "$_hsm" softhsm2 opensc
    unset debian_suite
    rm -rf "$_hsm/root/usr/share"
    wrap_programs "$_hsm" softhsm2-util=usr/bin/softhsm2-util pkcs11-tool=usr/bin/pkcs11-tool
    for _module in "$_hsm"/root/usr/lib/*/softhsm/libsofthsm2.so; do ln -sfn "$_module" "$_hsm/bin/libsofthsm2.so"; done
    printf '%s\n' "1 $_hsm" >"$_hsm/stamp"
  fi
  export NIXMAKER_HSM="$_hsm/bin"
}

# What makes images for discs. Not on PATH: a desk may lack it.
ensure_discs() {
  _discs=$nixmaker_cache/discs
  if [ "$(cat "$_discs/stamp" 2>/dev/null)" != "1 $_discs" ]; then
    say "fetching xorriso from Debian's mirror (about 15 MB)…"
    fetch_debian "$_discs" xorriso
    rm -rf "$_discs/root/usr/share"
    wrap_programs "$_discs" xorriso=usr/bin/xorriso
    printf '%s\n' "1 $_discs" >"$_discs/stamp"
  fi
  export NIXMAKER_DISCS="$_discs/bin"
}

# Another way to carry differences, to compare with. Where Debian's can't be had, the comparison is left out.
ensure_casync() {
  command -v apt-get >/dev/null 2>&1 || return 0
  _casync=$nixmaker_cache/casync
  if [ "$(cat "$_casync/stamp" 2>/dev/null)" != "1 $_casync" ]; then
    say "fetching casync from Debian's mirror…"
    fetch_debian "$_casync" casync
    wrap_programs "$_casync" casync=usr/bin/casync
    printf '%s\n' "1 $_casync" >"$_casync/stamp"
  fi
  export NIXMAKER_CASYNC="$_casync/bin/casync"
}

# A browser in a Debian tree of its own, for the pages nixmaker writes. It sees this machine's /tmp and no network.
ensure_browser() {
  _browser=$nixmaker_cache/browser
  if [ "$(cat "$_browser/stamp" 2>/dev/null)" != "2 $_browser" ]; then
    say "fetching Chromium from Debian's mirror (about 200 MB)…"
    # The same browser for as long as that suite exists.
    debian_suite=trixie
    fetch_debian "$_browser" base-files dash coreutils chromium fonts-dejavu-core
    unset debian_suite
    printf '%s\n' "2 $_browser" >"$_browser/stamp"
  fi
  cat >"$_browser/bin/chromium" <<END
#!/bin/sh
set -eu
user=
[ "\$(id -u)" = 0 ] || user=--map-root-user
exec unshare --mount --net --propagation private \$user sh -c '
for d in proc dev sys tmp; do mkdir -p "$_browser/root/\$d"; mount --rbind "/\$d" "$_browser/root/\$d"; done
exec chroot "$_browser/root" /usr/lib/chromium/chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "\$@"' sh "\$@"
END
  chmod +x "$_browser/bin/chromium"
  export NIXMAKER_BROWSER="$_browser/bin/chromium"
}

# ensure_program NAME PACKAGE: a program that most machines have, taken from Debian if this one lacks it.
ensure_program() {
  command -v "$1" >/dev/null 2>&1 && return
  _program=$nixmaker_cache/$1
  if [ "$(cat "$_program/stamp" 2>/dev/null)" != "1 $_program" ]; then
    say "fetching $1 from Debian's mirror…"
    fetch_debian "$_program" "$2"
    wrap_programs "$_program" "$1=usr/bin/$1"
    printf '%s\n' "1 $_program" >"$_program/stamp"
  fi
  PATH=$_program/bin:$PATH
}

# make_bed DIR SAYING [PACKAGE…]: a Debian tree with systemd and Nix, for tests with a real systemd as PID 1 (test/machines/bed.ts).
make_bed() {
  _bed=$1
  _what=$2
  shift 2
  # Raise the number when what is done to the tree below changes.
  _stamp="6 $(cksum <"$nixmaker_root/test/machines/prepare-bed")${*:+ $*}"
  if [ "$(cat "$_bed/stamp" 2>/dev/null)" != "$_stamp" ]; then
    say "fetching $_what from Debian's mirror…"
    fetch_debian "$_bed" base-files systemd dbus nix-bin bash dash coreutils util-linux bsdutils mount sed grep mawk tar gzip findutils procps openssh-server openssh-client openssh-sftp-server "$@"
    _tree=$_bed/root
    for _link in bin sbin lib lib64; do [ -L "$_tree/$_link" ] || [ ! -d "$_tree/usr/$_link" ] || ln -sfn "usr/$_link" "$_tree/$_link"; done
    ln -sfn dash "$_tree/usr/bin/sh"
    ln -sfn mawk "$_tree/usr/bin/awk"
    "$nixmaker_root/test/machines/prepare-bed" "$_tree" || die "the tree for the system tests could not be prepared"
    printf '%s\n' "$_stamp" >"$_bed/stamp"
  fi
}

ensure_bed() {
  make_bed "$nixmaker_cache/bed" "systemd and Nix for the system tests (about 90 MB)"
  export NIXMAKER_BED="$nixmaker_cache/bed/root"
}

# The same with a desktop: sessions, polkit, an X server that needs no screen, a notification service.
ensure_desktop() {
  make_bed "$nixmaker_cache/desktop" "systemd, Nix and a desktop for the system tests (about 250 MB)" \
    libpam-systemd dbus-user-session polkitd xvfb dunst libnotify-bin scrot fonts-dejavu-core
  if [ ! -e "$nixmaker_cache/desktop/root/home/anna" ]; then
    "$nixmaker_root/test/machines/prepare-desktop" "$nixmaker_cache/desktop/root" || die "the tree with a desktop could not be prepared"
  fi
  export NIXMAKER_DESKTOP="$nixmaker_cache/desktop/root"
}

ensure_nix() {
  if [ -r /etc/os-release ] && grep -q '^ID=debian' /etc/os-release; then
    _dir=$nixmaker_cache/nix
    # The stamp contains the folder's own path, because the wrappers are bound to it.
    if [ "$(cat "$_dir/stamp" 2>/dev/null)" != "1 $_dir" ]; then
      fetch_nix "$_dir"
      nix_is_recent "$_dir/bin/nix" || die "the fetched Nix does not run or is older than 2.24: $("$_dir/bin/nix" --version 2>&1)"
      say "fetched $("$_dir/bin/nix" --version)"
      printf '%s\n' "1 $_dir" >"$_dir/stamp"
    fi
    PATH=$_dir/bin:$PATH
    # Without it, changed paths are carried whole.
    ensure_program zstd zstd
  else
    command -v nix >/dev/null 2>&1 && nix_is_recent nix ||
      die "no Nix 2.24 or newer on PATH, and this is not Debian, where one could be fetched. Install Nix and run the same command again."
  fi
}

# nixmaker_tools: what the caller needs besides Node.js, the packages and Nix ("bed", "bed vm", "desktop").
ensure_tools() {
  need unshare "package util-linux: the private mount namespace that keeps this machine's /nix untouched"
  need flock "package util-linux"
  mkdir -p "$nixmaker_cache" || die "the cache folder $nixmaker_cache can't be made; set NIXMAKER_CACHE to a folder you can write."
  # One set-up at a time; the others wait and then find everything there.
  exec 9>"$nixmaker_cache/lock"
  flock 9
  ensure_node
  ensure_packages
  ensure_nix
  case " ${nixmaker_tools:-} " in *" bed "*) ensure_bed ;; esac
  case " ${nixmaker_tools:-} " in *" desktop "*) ensure_desktop ;; esac
  case " ${nixmaker_tools:-} " in *" browser "*) ensure_browser ;; esac
  case " ${nixmaker_tools:-} " in *" strace "*) ensure_program strace strace ;; esac
  case " ${nixmaker_tools:-} " in *" carriers "*)
    ensure_carriers
    ensure_hsm
    ensure_discs
    ensure_servers
    ensure_program ssh-keygen openssh-client
    ;;
  esac
  case " ${nixmaker_tools:-} " in *" casync "*) ensure_casync ;; esac
  # shellcheck source=tools/set-up/machines.sh
  case " ${nixmaker_tools:-} " in *" carriers "* | *" vm "*) . "$nixmaker_root/tools/set-up/machines.sh" && ensure_mkfs ;; esac
  case " ${nixmaker_tools:-} " in *" vm "*)
    ensure_vm
    ensure_qemu
    ;;
  esac
  flock -u 9
  exec 9>&-
  export PATH
  export NIXMAKER_CACHE="$nixmaker_cache"
  # The tests start hundreds of programs; what Node.js compiled of their sources last time is kept.
  export NODE_COMPILE_CACHE="$nixmaker_cache/compiled"
}
