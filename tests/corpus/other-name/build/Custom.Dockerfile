FROM debian:bookworm-slim
COPY --chmod=644 kept.txt dropped.txt* /out/
