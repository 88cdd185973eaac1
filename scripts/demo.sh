#!/usr/bin/env bash
# demo.sh PROGRAM: ten classes of clothes twice, every layer computed and layers reused as the
# router of placed steps says, in one picture; the table says what was saved and what it cost.
set -euo pipefail

program=$1
cd "$(dirname "$0")/.."
assets=assets/fashion-mnist
mkdir -p out
echo "sampling 10 classes x 8 images, 20 steps, twice (a few seconds)"
"$program" sample --model $assets/dit.safetensors --router $assets/placed20.safetensors \
  --labels 0,1,2,3,4,5,6,7,8,9 --per-class 8 --cfg-scale 1.5 --seed 1 --batch-size 16 --compare \
  --out out/demo.png --stats out/demo.json
echo "Look at out/demo.png: above, every layer computed; below, layers reused. One column a class:"
echo "t-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot."
if [[ -f $assets/eval.json ]]; then
  echo
  echo "Recorded with 5,000 images x 3 seeds a policy, 20 steps (make eval measures it again, and the router above, which"
  echo "came later; until then see docs/quality.md for it):"
  "$program" inspect $assets/eval.json | sed '/^$/,$d'
fi
