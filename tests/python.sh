#!/usr/bin/env bash
# The wheel: built, installed with pip into an environment of its own, and tested against the core's hashes, its own type
# stubs, the command and emulated boards. Without the command (target/release/nickeldime, or what NICKELDIME_COMMAND names)
# the tests against it are skipped with a reason. Usage: tests/python.sh [DIR], where the wheel goes
set -euo pipefail
mkdir -p "${1:-$(dirname "$0")/../target/python/dist}"
dist=$(cd "${1:-$(dirname "$0")/../target/python/dist}" && pwd)
cd "$(dirname "$0")/.."
out=$PWD/target/python
mkdir -p "$out"

if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c "import ensurepip" 2>/dev/null; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
fi
environment=$out/venv
[ -x "$environment/bin/python" ] || python3 -m venv "$environment"
pip=("$environment/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install "maturin>=1.9,<2" numpy pytest mypy

rm -f "$dist"/nickeldime-*.whl
"$environment/bin/maturin" build --quiet --release --locked --manifest-path bindings/python/Cargo.toml --out "$dist"
wheels=("$dist"/nickeldime-*.whl)
echo "${wheels[0]##*/}: $(stat -c %s "${wheels[0]}") bytes"
case ${wheels[0]} in *-abi3-*) ;; *) echo "the wheel is for one version of Python alone" >&2; exit 1 ;; esac
"${pip[@]}" install --force-reinstall --no-deps "${wheels[0]}"

mkdir -p "$out/packs"
cargo run --release --quiet -p nickeldime-testkit --example packs -- "$out/packs" >"$out/packs/SHA256"
export NICKELDIME_PACKS=$out/packs
if [ -z "${NICKELDIME_COMMAND-}" ] && [ -x target/release/nickeldime ]; then
    NICKELDIME_COMMAND=$PWD/target/release/nickeldime
fi
export NICKELDIME_COMMAND=${NICKELDIME_COMMAND-}

# From outside of the sources: what was installed is what is tested.
cd "$out"
tests=$OLDPWD/bindings/python/tests
"$environment/bin/python" -m pytest -q -rs -p no:cacheprovider "$tests"
# The inner module is the compiled half of the outer one.
"$environment/bin/python" -m mypy.stubtest nickeldime --allowlist <(echo nickeldime.nickeldime)
"$environment/bin/python" -m mypy --strict --cache-dir "$out/mypy" "$tests/typed.py"
"$environment/bin/python" "$tests/typed.py" "$out/packs/i8.ndm"
