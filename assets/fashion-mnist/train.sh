#!/usr/bin/env bash
# train.sh PROGRAM FOLDER: makes everything in this folder anew, in FOLDER (hours on two cores). Stopped at any
# moment and started again, it goes on. What it makes is not copied here: look at it first.
set -euo pipefail

program=$(realpath "$1")
mkdir -p "$2"
here=$(realpath "$(dirname "$0")")
cd "$2"
data=/usr/share/datasets/fashion-mnist

"$program" train-dit --data $data --arch "$here/config.json" --out dit --steps 8000 --batch-size 128 \
  --lr 1e-3 --lr-decay cosine --warmup 200 --clip 1 --ema 0.9995 --ema-ramp --dtype bf16 --save-dtype bf16 \
  --seed 0 --save-every 250 --threads 2
