#!/bin/sh
# The core's tests under Miri: no undefined behaviour on the way from bytes to pixels. Counts are smaller there (`rounds` in
# host/crates/nickeldime-testkit/src/packs.rs). Needs `rustup toolchain install nightly --component miri --component rust-src`.
set -eu
cd "$(dirname "$0")/.."
MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p nickeldime-core
