# shellcheck shell=bash
# What the demo and the benchmark share: prepare everything, generate the services, compare, keep the figures.

# What a script still has to do when everything is up.
before_compare() { :; }

compare_set() { # set argument...
  local set=$1 only=() services=$ROOT/$1 result=$ROOT/$1.json code=0
  shift
  need_cargo
  finish_well
  [ "$set" != demo ] || only=(--only demo)
  step "hack/up"
  up_for_now measurements
  step "hack/index"
  "$REPO/hack/index" "${only[@]}"
  step "hack/frontend"
  "$REPO/hack/frontend"
  step "generating the services"
  (cd "$REPO" && cargo run --quiet --release --package plinth-fleet -- generate --set "$set" --out "$services")
  before_compare
  step "plinth compare"
  (cd "$REPO" && cargo build --quiet --release --bin plinth)
  "${CARGO_TARGET_DIR:-$REPO/target}/release/plinth" compare "$services" --json "$result" "$@" || code=$?
  # 1 is a missed gate: a result, and no failure of this script's work.
  [ $code -le 1 ] || return $code
  # shellcheck disable=SC2034
  DONE="done, every gate met; figures as JSON in $result"
  # shellcheck disable=SC2034
  [ $code = 0 ] || DONE="done, a gate was missed; figures as JSON in $result"
}
