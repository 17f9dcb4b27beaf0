# shellcheck shell=bash
# Makes of BuildKit's source one that can't merge, as dockerd with its classic image store can't: `mergeop` and
# `diffop` are announced as switched off, with dockerd's own reason, and the operations themselves are refused.
# dockerd switches them off when it starts, by the same call; that call is all that is added here.
# The tests need it, since a real dockerd can't be had everywhere. Sourced by hack/get, after lib.sh.

# What a build of it depends on: another release, or another version of this file.
without_mergeop_stamp() {
  echo "$BIN/.buildkitd-without-mergeop-$BUILDKIT_VERSION-$(cksum <"$REPO/hack/without-mergeop.sh" | cut -d' ' -f1)"
}

# Changes a copy of the source. Go lets no overlay replace files of its module cache, so it takes a copy.
without_mergeop() { # directory
  local dir=$1 resolve=$1/worker/base/worker.go refusal='nil, errors.Errorf("no support for %T here", op)' found
  found=$(grep -cE '^\s*return ops\.New(Merge|Diff)Op\(v, op, w\)$' "$resolve") || true
  [ "$found" = 2 ] ||
    die "BuildKit $BUILDKIT_VERSION turns MergeOp and DiffOp into work elsewhere than hack/without-mergeop.sh expects ($found of 2 lines found in worker/base/worker.go)"
  sed -Ei 's/^(\s*return) ops\.New(Merge|Diff)Op\(v, op, w\)$/\1 '"$refusal"'/' "$resolve"
  cat >"$dir/cmd/buildkitd/without_mergeop.go" <<'GO'
package main

import (
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
)

func init() {
	for _, id := range []apicaps.CapID{pb.CapMergeOp, pb.CapDiffOp} {
		pb.Caps.Init(apicaps.Cap{ID: id, DisabledReasonMsg: "only enabled with containerd image store backend"})
	}
}
GO
}

# Builds bin/buildkitd-without-mergeop: mostly a link, if buildkitd itself was built here before.
get_without_mergeop() {
  local stamp go dir variable=github.com/moby/buildkit/version.Version
  stamp=$(without_mergeop_stamp)
  [ -e "$stamp" ] && [ -x "$BIN/buildkitd-without-mergeop" ] && return 0
  go=$(find_go)
  step "building a buildkitd $BUILDKIT_VERSION without mergeop"
  export GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0
  dir=$(cd / && "$go" mod download -json "github.com/moby/buildkit@$BUILDKIT_VERSION" | jq -re .Dir) ||
    die "could not get the source of BuildKit $BUILDKIT_VERSION"
  # Not `mktemp`: a build that was interrupted leaves no second copy.
  rm -rf "$ROOT/tmp/without-mergeop"
  cp -r --no-preserve=mode "$dir" "$ROOT/tmp/without-mergeop"
  without_mergeop "$ROOT/tmp/without-mergeop"
  "$go" build -C "$ROOT/tmp/without-mergeop" -trimpath -ldflags "-s -w -X $variable=$BUILDKIT_VERSION-without-mergeop" \
    -o "$BIN/buildkitd-without-mergeop" ./cmd/buildkitd >"$LOGS/go.log" 2>&1 || {
    tail -n 15 "$LOGS/go.log" >&2
    die "could not build a buildkitd without mergeop (whole log: $LOGS/go.log)"
  }
  rm -rf "$ROOT/tmp/without-mergeop" "$BIN"/.buildkitd-without-mergeop-*
  touch "$stamp"
}
