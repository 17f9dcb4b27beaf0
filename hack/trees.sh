# shellcheck shell=bash
# Builds every service of a set plain and through plinth and compares the two trees, path by path.

trees_of() { # set
  local services=$ROOT/trees-$1
  rm -rf "$services"
  # Without apt: two builds of one apt step differ by themselves, in its logs.
  cargo run --quiet --package plinth-fleet -- generate --set "$1" --without-apt --out "$services"
  PLINTH_E2E=1 PLINTH_FLEET=$services \
    cargo test --quiet --package plinth --test e2e -- --ignored --nocapture fleet::
}
