# Set-up, build and checks in one word each; `make help` lists them.
#   CUDA=1            build with CUDA: the complete wheel set, preset "cuda" (needs nvcc)
#   JOBS=N            compilers at once (default: cores, as far as memory allows)
#   L2C_DEPS_DIR=DIR  where LibTorch is kept (default: ~/.cache/l2c, shared by all checkouts)
#   LibTorch_ROOT=DIR a LibTorch >= 2.8 of your own instead
#   COMPARE=ARGS      what both parts of make compare take: --dtypes, --rounds, --seconds, --isa-limit, --python
#   SOAK=ARGS         what make soak takes: --runs, --threads, --seed, --dtype, --pool-threads
#   FUZZ_SECONDS=N    how long make fuzz fuzzes each reader (default: 60)
#   PREFIX=DIR        where `make install` puts l2c (default: /usr/local)
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

CUDA ?= 0
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
PRESET := $(if $(filter 1,$(CUDA)),cuda,dev)
BUILD := build/$(PRESET)
JOBS ?= $(shell scripts/jobs.sh)
# Spinning OpenMP threads make everything slower on a machine that is also compiling.
export OMP_WAIT_POLICY ?= passive
export CUDA
ifdef LibTorch_ROOT
export LibTorch_ROOT
endif
ifdef L2C_DEPS_DIR
export L2C_DEPS_DIR
endif

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: program ## set up, build the program, sample the demo model with and without the cache
	@scripts/demo.sh "$(BUILD)/tools/l2c/l2c"

.PHONY: test
test: build ## set up, build everything, run all tests and checks
	@echo "testing ($(PRESET))"
	@ctest --preset $(PRESET)

.PHONY: goldens
goldens: build ## print each golden file with its largest error
	@for module in models diffusion sampling datasets training metrics; do \
	  $(BUILD)/tests/$$module/test_$$module >$(BUILD)/goldens.log || { cat $(BUILD)/goldens.log; exit 1; }; \
	  grep GOLDEN $(BUILD)/goldens.log; \
	done

.PHONY: deps
deps: ## get what is missing: Debian packages, LibTorch, clang-format
	@scripts/deps.sh

.PHONY: configure
configure: deps
	@scripts/configure.sh $(PRESET)

.PHONY: build
build: configure ## set up and build everything
	@echo "building everything in $(BUILD), $(JOBS) at once"
	@cmake --build $(BUILD) -j $(JOBS)

.PHONY: program
program: configure
	@echo "building the l2c program in $(BUILD), $(JOBS) at once"
	@cmake --build $(BUILD) -j $(JOBS) --target l2c_cli

.PHONY: eval
eval: program ## measure the demo's policies again: quality, time, memory (hours; goes on when stopped)
	@scripts/eval.sh "$(BUILD)/tools/l2c/l2c"

.PHONY: manual
manual: program ## write docs/cli.md again, after a change of the program's options
	@"$(BUILD)/tools/l2c/l2c" manual --format markdown >docs/cli.md.partial && mv docs/cli.md.partial docs/cli.md

.PHONY: bench
bench: program ## how fast the demo model is here, and what its router really saves
	@"$(BUILD)/tools/l2c/l2c" bench --model assets/fashion-mnist/dit.safetensors \
	  --router assets/fashion-mnist/router20_fast.safetensors --cfg-scale 1.5 --batch 1,8 --dtype fp32,bf16 --profile

.PHONY: compare
compare: configure ## time l2c against PyTorch and Diffusers on this machine (2.7 GB download, an hour)
	@cmake --build $(BUILD) -j $(JOBS) --target bench_forward bench_sampling
	@python3 benchmarks/compare/run.py --l2c "$(BUILD)/benchmarks/bench_forward" $(COMPARE) --out out/compare.json
	@python3 benchmarks/compare/sampling.py --l2c "$(BUILD)/benchmarks/bench_sampling" $(COMPARE) --out out/compare-sampling.json

.PHONY: soak
soak: configure ## 1,000 mixed runs over 8 threads, half of them cancelled: same bits, no growth (minutes)
	@cmake --build $(BUILD) -j $(JOBS) --target l2c_soak
	@mkdir -p out && "$(BUILD)/tests/soak/l2c_soak" --runs 1000 --threads 8 --out out/soak.json $(SOAK)

.PHONY: format
format: deps ## format the C++ files with the pinned clang-format
	@scripts/format.sh

.PHONY: asan
asan: deps ## build and test with AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/configure.sh asan
	@echo "building with sanitizers in build/asan, $(JOBS) at once"
	@cmake --build build/asan -j $(JOBS)
	@ctest --preset asan

.PHONY: fuzz
fuzz: deps ## fuzz the file readers, FUZZ_SECONDS each (needs clang with libFuzzer)
	@command -v clang++ >/dev/null || { echo "make fuzz needs clang++ with libFuzzer (Debian: clang libclang-rt-dev)" >&2; exit 1; }
	@scripts/configure.sh fuzz
	@echo "building the fuzzers in build/fuzz, $(JOBS) at once"
	@cmake --build build/fuzz -j $(JOBS) --target fuzzers
	@scripts/fuzz.py run --seconds $(FUZZ_SECONDS)

.PHONY: install
install: deps ## build the library and the program alone, and install them below PREFIX
	@scripts/configure.sh release
	@echo "building in build/release, $(JOBS) at once"
	@cmake --build build/release -j $(JOBS)
	@cmake --install build/release --prefix "$(PREFIX)"

.PHONY: clean
clean: ## remove the build folders (not the cache of dependencies)
	rm -rf build
