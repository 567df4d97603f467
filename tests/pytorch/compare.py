"""`nickeldime doctor` against the same iteration in PyTorch, on the same cores or the same GPU, in one run.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    cargo build --release
    /tmp/torch/bin/python tests/pytorch/compare.py

and on a machine with a GPU (`cargo build --release --features cuda`):

    python tests/pytorch/compare.py --backend cuda --arch paper256 --ratio 0.9 --batch 16 32 64

Rounds alternate, so that both see the same machine; of each, the fastest round counts.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def measured(command, threads):
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nickeldime", default=HERE.parent.parent / "target" / "release" / "nickeldime")
    parser.add_argument("--backend", choices=["flex", "cuda"], default="flex")
    parser.add_argument("--arch", default="digits32")
    parser.add_argument("--ratio", default="0.85")
    parser.add_argument("--batch", nargs="+", default=["16"])
    parser.add_argument("--iterations", default="16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    device = {"flex": "cpu", "cuda": "cuda"}[args.backend]
    for batch in args.batch:
        load = ["--arch", args.arch, "--ratio", args.ratio, "--batch", batch, "--iterations", args.iterations]
        ours = [args.nickeldime, "--json", "doctor", "--backend", args.backend, *load]
        theirs = [sys.executable, HERE / "iteration.py", "--device", device, "--threads", str(args.threads), *load]
        rounds = [[measured(command, args.threads) for command in (ours, theirs)] for _ in range(args.rounds)]
        best = [max(side, key=lambda run: run["images_per_second"]) for side in zip(*rounds)]
        print(f"{args.arch}, batch {batch}, {args.threads} threads, best of {args.rounds} rounds")
        print(f"{'ms an iteration':<24}{'nickeldime':>14}{best[1]['what']:>20}{'ratio':>8}")
        for phase in best[0]["milliseconds"]:
            us, them = (run["milliseconds"][phase] for run in best)
            print(f"  {phase:<22}{us:>14.2f}{them:>20.2f}{them / us:>8.2f}")
        for name in ("images_per_second", "images_per_cpu_second"):
            us, them = (max(run[name] for run in side) for side in zip(*rounds))
            print(f"{name.replace('_', ' '):<24}{us:>14.1f}{them:>20.1f}{us / them:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
