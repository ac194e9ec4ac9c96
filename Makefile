# make analysis   the notebook series at scale demo: figures and numbers in output/
# make test       all tests but the slow ones;  make test-all  the slow ones too
# make test-browser   the event display in Chromium, which must be installed
# make lab        JupyterLab on the notebooks
# make bench      benchmarks, kept in RESULTS=build/bench.json, beside those of COMPARE=file;  QUICK=1 small sizes
# make lint  style, types, imports, numbers in docs;  make wheel-check  the wheel in an empty environment
# make docs       the documentation as pages, in build/docs
#
# Each makes the environment in .venv first, if that is not there or the requirements have changed.

VENV = .venv
PYTHON =
CORES = 2
SCALE = demo
OUTPUT = output
RESULTS = build/bench.json
# Free space that an installation needs, mostly for torch.
DISK_GB := $(if $(filter Darwin,$(shell uname -s)),4,10)

BIN := $(VENV)/bin
# One thread in each of so many processes: they would fight for the cores.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

.PHONY: analysis test test-all test-browser lab bench lint wheel-check docs env

analysis: env
	$(BIN)/ecalnb run --scale $(SCALE) --cores $(CORES) --output $(OUTPUT)

test: env
	$(PYTEST)

test-browser: env
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_display_browser.py

test-all: env
	$(PYTEST) -m "slow or not slow"

lab: env
	$(BIN)/ecalnb lab

bench: env
	$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick) $(if $(COMPARE),--compare "$(COMPARE)") --output "$(RESULTS)"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_numbers.py

docs: env
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

wheel-check: env
	$(BIN)/python tools/check_wheel.py

env: $(STAMP)

$(STAMP):
	@VENV="$(VENV)" PYTHON="$(PYTHON)" DISK_GB="$(DISK_GB)" sh tools/make_env.sh "$@"
