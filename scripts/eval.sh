#!/usr/bin/env bash
# eval.sh PROGRAM: makes the numbers of assets/fashion-mnist/eval.json again, and the like with 50 steps, as out/eval.json
# and out/eval50.json (hours; stopped and started again, it goes on). IMAGES and SEEDS make smaller ones:
# IMAGES=200 SEEDS=0 make eval.
set -euo pipefail

program=$1
cd "$(dirname "$0")/.."
assets=assets/fashion-mnist
images=${IMAGES:-5000}
seeds=${SEEDS:-0,1,2}
mkdir -p out

# evaluate STEPS REPORT POLICY...
evaluate() {
  "$program" eval --model $assets/dit.safetensors --classifier $assets/classifier.safetensors \
    --data /usr/share/datasets/fashion-mnist --steps "$1" --images "$images" --seeds "$seeds" --cfg-scale 1.5 \
    --batch-size 50 --threads 1 --rounds 9 --work "out/eval-$1-$images" --out "$2" --policy "${@:3}"
}
evaluate 20 out/eval.json full steps:16 steps:13 steps:10 every:2 \
  router:$assets/router20_quality.safetensors router:$assets/router20_fast.safetensors \
  router:$assets/placed20.safetensors
evaluate 50 out/eval50.json full steps:40 steps:32 every:2 \
  router:$assets/router50_quality.safetensors router:$assets/router50_fast.safetensors \
  router:$assets/placed50.safetensors
