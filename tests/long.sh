#!/usr/bin/env bash
# What takes too long for every change: the link's long tests, the core's tests under Miri, and every fuzz target from its
# kept corpus.
#   FUZZ_SECONDS=3600 tests/long.sh     an hour for each target; 60 seconds unless set
set -euo pipefail
cd "$(dirname "$0")/.."

rustup toolchain install nightly --profile minimal --component miri --component rust-src
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

echo "== the link: more schedules and images than every change waits for"
cargo test --release -p nickeldime --test link -- --ignored --nocapture --test-threads 1

echo "== Miri"
bash tests/miri.sh

for target in $(cargo +nightly fuzz list); do
    echo "== fuzz $target"
    # What a run finds goes into `found`; `corpus` is kept, and only read.
    mkdir -p "fuzz/found/$target" "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1
done
