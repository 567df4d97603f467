#!/usr/bin/env bash
# Makes the runs, the table and the figures of docs/RESULTS.md, "The method and its parts", again: CPU only.
# What is finished is not done again, what was stopped goes on.
#
#   docs/experiments.sh [FOLDER]      NICKELDIME=a command that is built already
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/experiments}
if [ -z "${NICKELDIME:-}" ]; then
    cargo build --release -p nickeldime
    NICKELDIME=target/release/nickeldime
fi
digits=fixtures/digits32
embed=(--embed "small=$digits/embedder.safetensors:5")
mkdir -p "$out"

# Distances are measured in another network than the one that DiME uses.
judge=$out/judge.safetensors
[ -f "$judge" ] || "$NICKELDIME" embedder train --data $digits/digits32.zip --seed 1 -o "$judge"
moments=$out/moments.safetensors
[ -f "$moments" ] || "$NICKELDIME" moments --teacher $digits/teacher-digits32.pkl "${embed[@]}" --samples 50000 -o "$moments"

measure() { "$NICKELDIME" eval "$@" --features "small=$judge" --samples 2000; }

run() { # NAME METHOD SEED KIMG
    local run=$out/$1 dime=()
    [ -f "$run/eval.jsonl" ] && return
    if [ -f "$run/run.json" ]; then
        "$NICKELDIME" compress --resume -o "$run"
    else
        [[ $2 == *dime ]] && dime=("${embed[@]}" --moments "$moments")
        "$NICKELDIME" compress --teacher $digits/teacher-digits32.pkl --data $digits/digits32.zip --mirror false \
            --ratio 0.85 --batch 16 --lr 0.0025 --gamma 0.1 --snapshot-kimg 1 \
            --method "$2" --seed "$3" --kimg "$4" "${dime[@]}" -o "$run"
    fi
    measure "$run" --snapshots --teacher --log
}

# Nothing in a run depends on its end: the first 6 kimg of 14 are a run of 6.
run nickel-dime nickel-dime 0 14
run gan gan 0 14
run dime dime 0 6
run nickel nickel 0 6
run l1 l1 0 6
for seed in 1 2; do
    run nickel-dime-$seed nickel-dime $seed 6
    run gan-$seed gan $seed 6
done

methods=("$out"/gan "$out"/l1 "$out"/dime "$out"/nickel "$out"/nickel-dime)
"$NICKELDIME" report "${methods[@]}" -o "$out/report.html" --png
"$NICKELDIME" report "$out"/{gan,nickel-dime}{,-1,-2} -o "$out/seeds.html" --png

# The Frechet distances, run by run.
[ -f "$out/teacher.json" ] || measure $digits/teacher-digits32.pkl $digits/digits32.zip --json > "$out/teacher.json"
fid() { grep -o '"fid":[0-9.]*' | cut -d: -f2 | xargs -r printf '%.0f\n'; }
echo "| method, seed | 0 kimg | 1 | 2 | 3 | 4 | 5 | 6 | 14 |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
echo "| teacher | $(fid < "$out/teacher.json") | | | | | | | |"
for name in gan gan-1 gan-2 l1 dime nickel nickel-dime nickel-dime-1 nickel-dime-2; do
    [[ $name == *-[12] ]] && label="${name%-*}, ${name##*-}" || label="$name, 0"
    mapfile -t fids < <(fid < "$out/$name/eval.jsonl")
    echo "| $label | ${fids[0]} | ${fids[1]} | ${fids[2]} | ${fids[3]} | ${fids[4]} | ${fids[5]} | ${fids[6]} | ${fids[14]:-} |"
done
