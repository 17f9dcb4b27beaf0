# shellcheck shell=bash disable=SC2034
# What the scripts of this directory share: where things live, how to speak, how to start and stop a
# process of our own without ever touching one that isn't.
#
# Everything is kept under one private root, PLINTH_ROOT (default: .plinth in the checkout):
#   bin      tools built for this checkout      run    sockets, pid files, ports
#   state    stores of the builder and registry logs   one per service
#   images   stand-in base images, as archives  wheels downloaded wheels; index: what pip sees of them
#   tmp      temporary files, and further builders while they run
set -euo pipefail

# What a script says about itself is its first comment.
case ${1:-} in
  -h | --help)
    sed -n '2,/^[^#]/ { /^# shellcheck/d; s/^# \{0,1\}//p; }' "$0"
    exit 0
    ;;
esac

say() { printf '%s\n' "$*" >&2; }
STEP=start
step() { STEP=$*; printf '==> %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ROOT=${PLINTH_ROOT:-$REPO/.plinth}
mkdir -p "$ROOT"/{bin,run,state,logs,images,wheels,index/simple,index/packages,tmp} 2>/dev/null && [ -w "$ROOT/run" ] ||
  die "$ROOT is not writable for $(id -un). Set PLINTH_ROOT to a directory of yours, or run this as the owner of that one."
ROOT=$(cd "$ROOT" && pwd)
BIN=$ROOT/bin RUN=$ROOT/run STATE=$ROOT/state LOGS=$ROOT/logs
export PATH="$BIN:$PATH:/usr/sbin:/sbin"

BUILDKIT_VERSION=v0.32.2
BUILDX_VERSION=v0.36.1
GO_MINIMUM=1.26.3
# The times of everything the stand-in images contain are clamped to this, so that they come out the same twice.
IMAGE_EPOCH=1767225600

have() { command -v "$1" >/dev/null 2>&1; }

need_root() { # why [what else helps]
  [ "$(id -u)" = 0 ] || die "needs root: $1. Run it as root, or in a virtual machine of yours${2:-}."
}
OR_A_BUILDER=', or set BUILDKIT_HOST to a BuildKit that runs already'

# Only one script at a time changes what is installed or running. The lock is released when the script ends;
# services are started with the descriptor closed, so that they don't keep it.
take_lock() {
  exec 9>"$RUN/lock"
  flock -n 9 || { say "waiting for another script of this root to finish ..."; flock 9; }
}

# The version order that dpkg and sort -V agree on: is $1 at least $2?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# --- ports -----------------------------------------------------------------------------------------------

port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port of a service: the one it had last time, else its default, else the next free one. It is remembered,
# since the base images name the index by its port.
port_of() { # name default
  local file=$RUN/$1.port port
  if [ -s "$file" ]; then
    port=$(cat "$file")
    if alive "$1" || port_free "$port"; then echo "$port"; return; fi
  fi
  port=$2
  while ! port_free "$port"; do port=$((port + 1)); done
  echo "$port" >"$file"
  echo "$port"
}

# --- processes -------------------------------------------------------------------------------------------

# A pid alone proves nothing after a reboot: the start time of the process (field 22 of its stat) is kept too. A process
# that has ended has none, even if nobody has asked for its exit code: in a container, often nobody does.
started_at() { sed -n 's/.*) //; /^[ZX]/!p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

alive() { # name
  local pid at
  { read -r pid at <"$RUN/$1.pid"; } 2>/dev/null || return 1
  [ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ]
}

# Starts a service in a session of its own (so that stopping it takes its children along).
start() { # name command...
  local name=$1 pid
  shift
  setsid "$@" >"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$RUN/$name.pid"
}

# Waits until a probe answers; shows the end of the log if the service dies or never does.
await() { # name seconds probe...
  local name=$1 tries=$(($2 * 10))
  shift 2
  while [ "$tries" -gt 0 ]; do
    "$@" >/dev/null 2>&1 && return 0
    alive "$name" || break
    sleep 0.1
    tries=$((tries - 1))
  done
  "$@" >/dev/null 2>&1 && return 0
  say "$name does not answer. The end of $LOGS/$name.log:"
  tail -n 20 "$LOGS/$name.log" >&2 || true
  return 1
}

# Stops a service and its children; false if it goes on.
stop() { # name
  local name=$1 pid tries=100
  if alive "$name"; then
    read -r pid _ <"$RUN/$name.pid"
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
    while alive "$name" && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
    kill -KILL -- "-$pid" 2>/dev/null || true
    tries=20
    while alive "$name" && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
    if alive "$name"; then
      say "$name (process $pid) does not stop; it belongs to $(stat -c %U "/proc/$pid" 2>/dev/null || echo somebody), this is $(id -un)"
      return 1
    fi
  fi
  rm -f "$RUN/$name.pid"
}

# Stops daemons that were started with this directory as the place of their state, and are still there.
end_builders_below() { # directory
  local proc tries=100
  builders_below "$1" | while read -r proc; do kill -TERM "$proc" 2>/dev/null || true; done
  while [ -n "$(builders_below "$1")" ] && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
  builders_below "$1" | while read -r proc; do kill -KILL "$proc" 2>/dev/null || true; done
}

builders_below() { # directory
  local proc
  for proc in /proc/[0-9]*; do
    [[ $(readlink "$proc/exe" 2>/dev/null) == */buildkitd* ]] || continue
    tr '\0' '\n' <"$proc/cmdline" 2>/dev/null | grep -qF "$1/" && echo "${proc#/proc/}"
  done
  return 0
}

# Unmounts what is mounted below a directory, the innermost first.
unmount_below() { # directory
  awk -v root="$1/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
    umount -l "$mount" 2>/dev/null || say "could not unmount $mount"
  done
}

# Ends the processes of containers whose root file system lies below a directory: a builder that had to be killed leaves
# them. Others may see mounts below it too (a shell in a copy of this mount namespace does), so only the root counts.
end_containers_below() { # directory
  local proc own space rootfs
  own=$(readlink /proc/self/ns/mnt)
  for proc in /proc/[0-9]*; do
    space=$(readlink "$proc/ns/mnt" 2>/dev/null || true)
    [ -n "$space" ] && [ "$space" != "$own" ] || continue
    awk -v dir="$1/" '$5 == "/" && (index($4, dir) == 1 || index($0, "=" dir)) { found = 1 } END { exit !found }' \
      "$proc/mountinfo" 2>/dev/null || continue
    kill -KILL "${proc#/proc/}" 2>/dev/null || true
  done
  # What runc remembers of them lies elsewhere.
  { find "$1" -maxdepth 5 -path '*/executor/*/rootfs' -prune 2>/dev/null || true; } | while read -r rootfs; do
    rootfs=${rootfs%/rootfs}
    [ ! -d "/run/runc/${rootfs##*/}" ] || runc delete --force "${rootfs##*/}" >/dev/null 2>&1 || true
  done
}

# --- where the services are ------------------------------------------------------------------------------

# A socket path may have 108 bytes at most; a deep checkout gets a short one in /tmp.
builder_socket() {
  local socket=$RUN/buildkitd.sock
  if [ "${#socket}" -gt 100 ]; then
    socket=/tmp/plinth-$(printf '%s' "$ROOT" | cksum | cut -d' ' -f1).sock
  fi
  echo "$socket"
}

# Reads what hack/up wrote; false if nothing is up.
load_env() {
  [ -s "$ROOT/env" ] || return 1
  # shellcheck disable=SC1091
  . "$ROOT/env"
}

# --- for scripts that use all this for a while ---------------------------------------------------------------

need_cargo() {
  local want version
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REPO/Cargo.toml")
  have cargo || die "needs cargo, Rust $want or newer: get it with rustup (Debian 12's is too old)"
  version=$(cargo --version 2>&1) || die "cargo does not work here: $version"
  version=${version#cargo }
  at_least "${version%% *}" "$want" || die "needs Rust $want or newer, $(command -v cargo) is ${version%% *}: get a newer one with rustup"
}

# Files that last no longer than a script, and builders that it starts for itself, stay under the private root, unless
# that would make the path of a socket too long.
keep_temporary_files() {
  [ "${#ROOT}" -gt 60 ] || export TMPDIR=$ROOT/tmp
}

# Starts what isn't running. When the last script that uses it ends, hack/down stops what was started for them;
# what somebody started with hack/up goes on.
up_for_now() { # [tests]
  local name
  if [ -s "$ROOT/env" ] && alive registry && [ ! -e "$ROOT/env.before" ]; then cp "$ROOT/env" "$ROOT/env.before"; fi
  for name in registry index buildkitd; do
    alive "$name" || echo "$name" >>"$RUN/for-now"
  done
  # What compares builders with each other starts some of its own.
  "$REPO/hack/get" --buildkitd
  PLINTH_FOR_NOW=${1:-measurements} "$REPO/hack/up"
  load_env
}

# For scripts that run for long: whatever happens, what was started is stopped, and the last line says how it went.
finish_well() {
  local free
  keep_temporary_files
  free=$(df -Pk "$ROOT" | awk 'END { print int($4 / 1000000) }')
  [ "$free" -ge 12 ] || say "only $free GB are free in $ROOT: this may not be enough, a first run takes about 10"
  printf '%s %s\n' $$ "$(started_at $$)" >"$RUN/user-$$.pid"
  trap 'finish $?' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Whether a script that called finish_well still runs.
in_use() {
  local file name
  for file in "$RUN"/user-*.pid; do
    [ -e "$file" ] || continue
    name=${file##*/}
    alive "${name%.pid}" && return 0
    rm -f "$file"
  done
  return 1
}

DONE=passed
finish() { # exit code
  trap - EXIT
  trap '' HUP INT TERM
  rm -f "$RUN/user-$$.pid"
  "$REPO/hack/down" --unused || say "hack/down failed; run it by hand"
  if [ "$1" = 0 ]; then
    say "${0##*/}: $DONE ($(took))"
  else
    say "${0##*/}: FAILED in \"$STEP\", exit code $1 ($(took))"
  fi
  exit "$1"
}

# Seconds since this script began, for people.
took() { printf '%dm%02ds' $((SECONDS / 60)) $((SECONDS % 60)); }

# A policy that puts a master in the place of other images.
write_policy() { # directory image replaces
  cat >"$1/plinth.toml" <<TOML
version = 1

[[base]]
name = "python-3.11"
image = "$2"
replaces = ["$3"]
TOML
}
