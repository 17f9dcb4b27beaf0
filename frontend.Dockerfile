# The frontend image: one static binary on nothing.
#
#   docker buildx build -f frontend.Dockerfile --platform linux/amd64,linux/arm64 -t registry.example.com/plinth:1 --push .
#
# An organisation bakes its policy in with two lines of its own:
#   FROM registry.example.com/plinth:1
#   COPY plinth.toml /plinth.toml

# Compiles on the build platform, for the target platform. hack/frontend puts a directory with a binary in place of
# this stage (a named context `build`), everything below is the same.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /src
RUN case $TARGETARCH in \
      amd64) echo x86_64 x86-64 ;; \
      arm64) echo aarch64 aarch64 ;; \
      *) echo "no frontend for $TARGETARCH: amd64 and arm64 only" >&2; exit 1 ;; \
    esac >/target && \
    read -r cpu gcc </target && \
    rustup target add "$cpu-unknown-linux-gnu" && \
    if [ "$TARGETARCH" != "$(dpkg --print-architecture)" ]; then \
      apt-get update && \
      apt-get install -y --no-install-recommends "gcc-$gcc-linux-gnu" "libc6-dev-$TARGETARCH-cross" && \
      rm -rf /var/lib/apt/lists/*; \
    fi
COPY . .
# cargo's own locks don't reach from one container into another, so no two builds share a cache at a time. Its idea of
# what is up to date is times, and those of another checkout may be older than what was compiled before.
RUN --mount=type=cache,target=/usr/local/cargo/registry,id=plinth-registry-$TARGETARCH,sharing=locked \
    --mount=type=cache,target=/src/target,id=plinth-target-$TARGETARCH,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + && \
    read -r cpu _ </target && \
    export RUSTFLAGS="-C target-feature=+crt-static -C linker=$cpu-linux-gnu-gcc" && \
    cargo build --locked --release --no-default-features --target "$cpu-unknown-linux-gnu" --bin plinth && \
    cp "target/$cpu-unknown-linux-gnu/release/plinth" /plinth

FROM scratch
COPY --from=build /plinth /plinth
ENTRYPOINT ["/plinth", "frontend"]
LABEL moby.buildkit.frontend.network.none="true" \
      moby.buildkit.frontend.caps="moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts,moby.buildkit.frontend.gitquerystring"
