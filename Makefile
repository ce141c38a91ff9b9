# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# The version whose CPU wheel development machines have (a local version such as 2.13.0+cpu satisfies it and goes
# before PyPI's, which brings gigabytes of CUDA). Elsewhere: make test TORCH="torch --index-url <the CPU index>".
TORCH ?= torch==2.13.0

.PHONY: demo test lint unit slow oracles bench docs clean

demo: $(VENV)/.demo ## A real run of real questions on the embedded model, ending in the comparison table.
	$(BIN)/longcat-eval run --suite smoke --compare kimi,qwen3-next,gemini,longcat -o runs/demo
	@echo
	@echo "The run is in runs/demo; read it with: $(BIN)/longcat-eval show runs/demo"

test: lint unit ## Everything CI runs.

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow and not oracle" -n 2 --dist loadgroup

slow: $(VENV)/.dev ## The tests that take minutes.
	$(BIN)/python -m pytest -m slow

oracles: $(VENV)/.dev ## Peers and official code; VITA_SRC=DIR names a checkout of vitabench.
	$(BIN)/python benchmarks/peers.py --make-environments
	$(BIN)/python -m pytest -m oracle

bench: $(VENV)/.dev ## Our speed beside the peers', in one run.
	$(BIN)/python benchmarks/peers.py --make-environments
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/report_speed.py
	$(BIN)/python benchmarks/export_speed.py
	$(BIN)/python benchmarks/tau2_speed.py
	$(BIN)/python benchmarks/swe_speed.py
	$(BIN)/python benchmarks/terminal_speed.py
	$(BIN)/python benchmarks/terminal_round_trip.py

docs: $(VENV)/.dev ## Write docs/cli.md from the code.
	$(BIN)/python docs/make_reference.py

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "longcat-eval needs Python 3.11 or newer; give one with PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# llama.cpp's wheel needs the system's libgomp, which slim images lack.
$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@/sbin/ldconfig -p 2>/dev/null | grep -q libgomp.so.1 || apt-get install -y -q libgomp1 \
	  || echo "libgomp.so.1 was not found: if the embedded model does not start, install libgomp1"
	$(BIN)/python -m pip install -q -e ".[demo,math]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q $(TORCH)
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@ $(VENV)/.demo
