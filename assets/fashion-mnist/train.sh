#!/usr/bin/env bash
# train.sh PROGRAM FOLDER: makes the model, the routers and the numbers of the README anew, in FOLDER (hours on two
# cores). Stopped at any moment and started again, it goes on. Nothing is copied here: look at what it made first.
set -euo pipefail

program=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
data=/usr/share/datasets/fashion-mnist
export OMP_WAIT_POLICY=passive

"$program" train-classifier --data $data --out classifier.safetensors --epochs 10 --lr 0.01 --label-smoothing 0.05 \
  --crop 0 --seed 0 --threads 1

"$program" train-dit --data $data --arch "$here/config.json" --out dit --steps 8000 --batch-size 128 --lr 1e-3 \
  --lr-decay cosine --warmup 200 --clip 1 --ema 0.9995 --ema-ramp --dtype bf16 --save-dtype bf16 --seed 0 \
  --save-every 250 --threads 2

# router NAME STEPS WHAT...: a router, its folder and its result.
router() {
  "$program" train-router --model dit/model.safetensors --data $data --out "$1" --steps "$2" --batch-size 24 \
    --lr 0.05 --dtype bf16 --seed 0 --threads 1 "${@:3}"
}
router router20_quality 20 --iterations 1500 --target-speedup 1.25
router router20_fast 20 --iterations 1500 --target-speedup 1.55
router router50_quality 50 --iterations 3000 --target-speedup 1.25
router router50_fast 50 --iterations 3000 --target-speedup 1.55

# Minutes each; no data.
place() {
  "$program" place-steps --model dit/model.safetensors --dtype bf16 --cfg-scale 1.5 --recall chebyshev:2 --threads 1 \
    --out "$1.safetensors" --steps "$2" "${@:3}"
}
place placed20 20 --full-steps 8
place placed50 50 --full-steps 17

# More weight on reuse, fewer branches.
echo "lambda,branches_on,ideal_speedup" >lambda.csv
for lambda in 1e-6 1e-5 3e-5 1e-4 3e-4 1e-3; do
  router "lambda_$lambda" 20 --iterations 1000 --lambda $lambda
  tail -n 1 "lambda_$lambda/curve.csv" | cut -d , -f "$(head -n 1 "lambda_$lambda/curve.csv" | tr , '\n' |
    grep -n -x -e lambda -e branches_on -e ideal_speedup | cut -d : -f 1 | paste -s -d ,)" >>lambda.csv
done
