# From a fresh clone, `make demo` and `make test` do all the set-up and then their job.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SHELL_FILES = $(wildcard tools/*.sh utils/*.sh egs/*/*.sh egs/*/local/*.sh) .ci/run
DEVICE = cuda

.DEFAULT_GOAL := help
.PHONY: help environment setup demo papers test check bench test-gpu bench-gpu voices clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 16

environment:
	@tools/install.sh

setup: environment ## Build .venv if it is missing or its pins changed; install the system packages as root.
	@tools/system.sh sox ffmpeg chromium || echo "only augmentation by sox and the tests need these" >&2

demo: environment ## Make the spoken mini corpus, train and score every system on it, write the report.
	egs/mini/run.sh
	@echo "the table: egs/mini/RESULTS.md; the page to look at: file://$(CURDIR)/egs/mini/report.html"

papers: environment ## Run all systems of the five papers on mini, for hours; writes docs/claims.md. SEEDS="1 2 3"
	egs/mini/papers.sh --seeds "$(SEEDS)"
	python -m espnet_ext.claims

test: setup ## Run the tests.
	@tools/install.sh bench
	python -m pytest -q -n 2 --dist loadfile

check: environment ## Lint, check formatting, check types.
	ruff check .
	ruff format --check .
	mypy espnet_ext
	shellcheck -x $(SHELL_FILES)
	shfmt -d -i 4 -sr $(SHELL_FILES)

bench: environment ## Measure the speed beside ESPnet and Hugging Face; writes docs/benchmarks.md.
	@tools/install.sh bench
	python -m tests.bench

test-gpu: environment ## Run the tests for a GPU; DEVICE=cpu is a rehearsal without one.
	@tools/install.sh bench
	python -m pytest -q tests/gpu --device $(DEVICE)

bench-gpu: environment ## Measure the speed on a GPU; writes docs/benchmarks_gpu.md (DEVICE=cpu: nothing).
	@tools/install.sh bench
	python -m tests.bench.gpu --device $(DEVICE)

voices: environment ## Bring the natural voices with which egs/multi30k is spoken (300 MB).
	@tools/voices.sh

clean: ## Remove .venv, caches and everything that the recipes made; sources stay.
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf egs/*/data egs/*/dump egs/*/exp* egs/*/downloads egs/*/report*.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
