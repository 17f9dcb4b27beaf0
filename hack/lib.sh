# shellcheck shell=bash disable=SC2034
# What the scripts of this directory share: where things live, how to speak, how to start and stop a
# process of our own without ever touching one that isn't.
#
# Everything is kept under one private root, PLINTH_ROOT (default: .plinth in the checkout):
#   bin      tools built for this checkout      run    sockets, pid files, ports
#   state    stores of the builder and registry logs   one per service
#   images   stand-in base images, as archives  wheels downloaded wheels; index: what pip sees of them
set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ROOT=${PLINTH_ROOT:-$REPO/.plinth}
mkdir -p "$ROOT"/{bin,run,state,logs,images,wheels,index/simple,index/packages}
ROOT=$(cd "$ROOT" && pwd)
BIN=$ROOT/bin RUN=$ROOT/run STATE=$ROOT/state LOGS=$ROOT/logs
export PATH="$BIN:$PATH:/usr/sbin:/sbin"

BUILDKIT_VERSION=v0.32.2
BUILDX_VERSION=v0.36.1
GO_MINIMUM=1.26.3
# The times of everything the stand-in images contain are clamped to this, so that they come out the same twice.
IMAGE_EPOCH=1767225600

say() { printf '%s\n' "$*" >&2; }
STEP=start
step() { STEP=$*; printf '==> %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

have() { command -v "$1" >/dev/null 2>&1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "needs root ($1). Run it as root or in a virtual machine of yours, or set BUILDKIT_HOST to a BuildKit that runs already."
}

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

# A pid alone proves nothing after a reboot: the start time of the process (field 22 of its stat) is kept too.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

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

stop() { # name
  local name=$1 pid tries=100
  if alive "$name"; then
    read -r pid _ <"$RUN/$name.pid"
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
    while alive "$name" && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
    kill -KILL -- "-$pid" 2>/dev/null || true
  fi
  rm -f "$RUN/$name.pid"
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
  have cargo || die "needs cargo, Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REPO/Cargo.toml") or newer: get it with rustup or from your distribution"
}

# Starts what isn't running, and stops it when the script ends, however it ends. What ran before is left running.
STOP_AT_END=0
up_for_now() {
  if ! alive registry && ! alive index && ! alive buildkitd; then STOP_AT_END=1; fi
  "$REPO/hack/up"
  load_env
}

# For scripts that run for long: whatever happens, what was started is stopped, and the last line says how it went.
finish_well() {
  trap 'finish $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

DONE=passed
finish() { # exit code
  trap - EXIT
  if [ "$STOP_AT_END" = 1 ]; then
    "$REPO/hack/down" || say "hack/down failed; run it by hand"
  fi
  if [ "$1" = 0 ]; then
    say "${0##*/}: $DONE ($(took))"
  else
    say "${0##*/}: FAILED in \"$STEP\", exit code $1 ($(took))"
  fi
  exit "$1"
}

# Seconds since this script began, for people.
took() { printf '%dm%02ds' $((SECONDS / 60)) $((SECONDS % 60)); }
