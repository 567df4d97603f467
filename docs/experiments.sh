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
judge=$out/judge.safetensors second=$out/judge2.safetensors
[ -f "$judge" ] || "$NICKELDIME" embedder train --data $digits/digits32.zip --seed 1 -o "$judge"
[ -f "$second" ] || "$NICKELDIME" embedder train --data $digits/digits32.zip --seed 2 -o "$second"
moments=$out/moments.safetensors
[ -f "$moments" ] || "$NICKELDIME" moments --teacher $digits/teacher-digits32.pkl "${embed[@]}" --samples 50000 -o "$moments"

measure() { "$NICKELDIME" eval "$@" --features "small=$judge" --samples 2000; }

run() { # NAME METHOD SEED KIMG
    local run=$out/$1 looks=()
    [ -f "$run/eval.jsonl" ] && return
    if [ -f "$run/run.json" ]; then
        "$NICKELDIME" compress --resume -o "$run"
    else
        case $2 in
            *dime) looks=("${embed[@]}" --moments "$moments") ;;
            cagc | itgc | dcp | gs | stylekd) looks=("${embed[@]}") ;;
        esac
        # One start, which the run's seed draws: several would be the same for every seed.
        "$NICKELDIME" compress --teacher $digits/teacher-digits32.pkl --data $digits/digits32.zip --mirror false \
            --ratio 0.85 --batch 16 --lr 0.0025 --gamma 0.1 --snapshot-kimg 1 \
            --starts 1 --method "$2" --seed "$3" --kimg "$4" "${looks[@]}" -o "$run"
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
    run nickel-dime-$seed nickel-dime $seed 14
    run gan-$seed gan $seed 14
done
rivals=()
for method in cagc dcp gs stylekd itgc; do
    for seed in 0 1 2; do
        run $method-$seed $method $seed 6
        rivals+=("$method-$seed")
    done
done

methods=("$out"/gan "$out"/l1 "$out"/dime "$out"/nickel "$out"/nickel-dime)
"$NICKELDIME" report "${methods[@]}" -o "$out/report.html" --svg >&2
"$NICKELDIME" report "$out"/{gan,nickel-dime}{,-1,-2} -o "$out/seeds.html" --svg >&2

# docs/figures: these, and of seeds-plots FID, and the student's critic of gan and of nickel-dime.
draw() { "$NICKELDIME" sample "$1" --seed 0..15 --columns 16 -o "$out/$2.png" >&2; }
draw $digits/teacher-digits32.pkl teacher
draw "$out/gan" gan
draw "$out/nickel-dime" nickel-dime

# FID against images seen, and everything at the end of each run.
names=(gan gan-1 gan-2 l1 dime nickel nickel-dime nickel-dime-1 nickel-dime-2)
label() { [[ $1 == *-[012] ]] && echo "${1%-*}, ${1##*-}" || echo "$1, 0"; }
values() { grep -o "\"$1\":[0-9.e-]*" | cut -d: -f2 | xargs -r printf "%.$2f\n"; }
students() { grep -v '"teacher":true' "$out/$1/eval.jsonl"; }
# Other seeds, another classifier, the teacher's critic.
elsewhere() { "$NICKELDIME" eval "$1" $digits/digits32.zip --features "$2" --samples 5000 --seed 100000 --fid --cache "$out/features" --json | values fid 0; }
row() { paste -sd'|' | sed 's/|/ | /g; s/^/| /; s/$/ |/'; }
end() { # NAME MODEL LINE
    {
        echo "$1"
        for of in fid:1 kid:3 precision:2 recall:2; do values "${of%:*}" "${of#*:}" <<< "$3"; done
        elsewhere "$2" "small=$second"
        elsewhere "$2" "critic=$digits/teacher-digits32.pkl"
    } | row
}

echo "| method, seed | 0 kimg | 1 | 2 | 3 | 4 | 5 | 6 | 8 | 10 | 12 | 14 |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for name in "${names[@]}" "${rivals[@]}"; do
    mapfile -t fids < <(students "$name" | values fid 0)
    row="| $(label "$name") |"
    for kimg in 0 1 2 3 4 5 6 8 10 12 14; do row+=" ${fids[kimg]:-} |"; done
    echo "$row"
done
echo
echo "| run, at its end | FID | KID | precision | recall | FID, second judge | FID, teacher's critic |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
end teacher $digits/teacher-digits32.pkl "$(grep '"teacher":true' "$out/gan/eval.jsonl")"
for name in "${names[@]}"; do
    end "$(label "$name")" "$out/$name" "$(students "$name" | tail -n 1)"
done
