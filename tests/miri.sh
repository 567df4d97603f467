#!/bin/sh
# The core's tests under Miri: finds undefined behaviour on the way from bytes to pixels. The tests try fewer cases there
# (`rounds` in the test packs). Needs `rustup toolchain install nightly --component miri --component rust-src`.
set -eu
cd "$(dirname "$0")/.."
MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p nickeldime-core "$@"
