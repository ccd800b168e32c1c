# Two commands: `make book` (install, build, say where to open it) and
# `make test` (install and check everything).  They need make and a Python from
# 3.11 to 3.13: the newest that .ci/find_python finds, or PYTHON=.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
# The notebooks among the pages of _toc.yml, in its order.
PAGES := $(shell sed -n 's/.*- file: //p' _toc.yml)
CHAPTERS := $(wildcard $(addsuffix .ipynb,$(PAGES)))

# TensorFlow writes less to stderr; idle OpenMP threads soon leave the cores
# alone (core/quiet.py says why).
export TF_CPP_MIN_LOG_LEVEL ?= 3
export OMP_WAIT_POLICY ?= passive
export GOMP_SPINCOUNT ?= 2000

BUILD := $(VENV)/bin/jupyter-book build .
# Files side by side, one thread each: the small networks of the tests and
# chapters gain nothing from a second one.
JOBS ?= 2
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
PYTEST := $(PY) -m pytest -n $(JOBS) --dist loadfile
# A check of the book that does not hold is an error here (book/pages/checked.py).
# Progress bars are left out: they would be outputs that differ.
NBVAL := BOOK_CHECKS=strict TQDM_DISABLE=1 $(PYTEST) -q --nbval --nbval-current-env \
	--nbval-cell-timeout=600 -p no:cacheprovider
# An older processor with one core: other kernels, another order of sums.
PORTABLE := $(ONE_THREAD) ATEN_CPU_CAPABILITY=default \
	ONEDNN_MAX_CPU_ISA=AVX2 XLA_FLAGS=--xla_cpu_max_isa=AVX2

# What CI repeats on a second Python, with PyTorch's other build.
BRIEF_TESTS := $(addprefix tests/test_,imports.py trainers.py supervised.py \
	dqn.py preference_trainers.py)
BRIEF_CHAPTERS := $(addprefix book/,policy_gradient.ipynb \
	document_003.ipynb sampling.ipynb document_002.ipynb \
	rloo_grpo.ipynb)

.PHONY: help install book test unit notebooks site test-portable test-brief \
	test-colab fuzz documents models lock lab run checked check bench mutants \
	readers pdf epub

help:
	@echo "make book           install, build the site, say where to open it"
	@echo "make test           install the tests' packages too, run all tests"
	@echo "make test-portable  the notebooks as on an older, smaller machine"
	@echo "make test-brief     imports, trainers and five chapters"
	@echo "make test-colab     five chapters with the versions that Colab has"
	@echo "make fuzz           bad arguments of all public functions (5 minutes)"
	@echo "make documents      the documents' programs, repaired (5 minutes)"
	@echo "make models         train the book's models again (15 minutes)"
	@echo "make lock           pin what the requirements need in their turn"
	@echo "make lab            the book in JupyterLab"
	@echo "make run CH=FILE    execute a chapter and store its outputs"
	@echo "make readers        the chapters as notebooks in plain Markdown"
	@echo "make pdf            the whole book as one PDF (Chromium; 3 minutes)"
	@echo "make epub           the same as an EPUB (Chromium; 2 minutes)"
	@echo "make checked        gather the checks of all chapters"
	@echo "make check          style, types, size and form, in a minute"
	@echo "make bench          speed and memory beside other libraries (10 min)"
	@echo "make mutants        small mistakes that the tests must see (hours)"
	@echo
	@echo "PYTHON=/path/to/python chooses one of Python 3.11 to 3.13."

# Two steps: what reading and running need, and the tests' own packages beside it.
READ := $(VENV)/installed
TOOLS := $(VENV)/tools
install: $(TOOLS)

# PYTHON= another version than that of the folder: it is made anew.
VERSION := -c "import sys; print(*sys.version_info[:2])"
ifneq ($(PYTHON),)
ifneq ($(shell $(PYTHON) $(VERSION) 2>&1),$(if $(wildcard $(PY)),$(shell $(PY) $(VERSION))))
.PHONY: $(READ)
endif
endif

$(READ): requirements.txt requirements.lock pyproject.toml
	@python="$$(PYTHON='$(PYTHON)' .ci/find_python)" && set -x && \
		"$$python" -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check \
		-r requirements.txt -c requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	touch $@

$(TOOLS): $(READ) requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check \
		-r requirements-dev.txt -c requirements.lock
	touch $@

book: $(READ)
	$(BUILD)
	@echo
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

# Warnings are errors here.  A page is read again only when it changed, and so
# are its warnings: the tests build all pages anew.
site: install
	$(BUILD) --all -W -n --keep-going
	$(PY) -m pytest tests/test_site*.py

unit: install
	$(ONE_THREAD) $(PYTEST) tests --ignore-glob='tests/test_site*.py'

notebooks: install
	$(ONE_THREAD) $(NBVAL) $(CHAPTERS)

test: unit notebooks site

test-brief: install
	$(ONE_THREAD) $(PYTEST) $(BRIEF_TESTS)
	$(ONE_THREAD) $(NBVAL) $(BRIEF_CHAPTERS)

# As readers get them: without MyST, for Colab and others that do not know it.
READERS := _build/notebooks
readers: $(READ)
	$(PY) book/_ext/reader_notebooks.py $(READERS)

# Beside the site, which is built first: Chromium opens and prints its pages.
pdf: book
	$(PY) book/_ext/pdf.py _build/html _build/html/book.pdf

epub: book
	$(PY) book/_ext/epub.py _build/html _build/html/book.epub

# The same chapters with Colab's versions, each alone in an empty folder.
test-colab: readers
	"$$(PYTHON='$(PYTHON)' .ci/find_python 3.13 3.12)" -m venv --clear \
		.venv-colab
	.venv-colab/bin/python -m pip install --quiet \
		--disable-pip-version-check -r requirements-colab.txt
	.venv-colab/bin/python tests/as_on_colab.py \
		$(BRIEF_CHAPTERS:book/%=$(READERS)/%)

test-portable: install
	$(PORTABLE) $(NBVAL) $(CHAPTERS)

# More examples than tests/test_fuzz.py has, other ones each time.
fuzz: install
	$(ONE_THREAD) PYTHONPATH=book $(PY) -m tests.fuzz.run

# Both frameworks one after the other, with what of the book a program takes.
documents: $(READ)
	@set -e; for half in pt tf; do for program in 000 001 \
			"002 book/models/bert" 003 \
			"004 book/models/gpt book/data/listings/sentences.lark"; do \
		echo "python -m core.$$half.listings $$program"; \
		$(ONE_THREAD) $(PY) -m core.$$half.listings $$program; \
	done; done

models: $(READ)
	cd book && for name in models.make applications.starters \
			applications.long_text_lstm applications.speech_start; do \
		$(abspath $(PY)) -m $$name || exit 1; done

# Versions stay that fit; PyTorch's parts of CUDA are left to its own wheel.
lock:
	"$$(PYTHON='$(PYTHON)' .ci/find_python)" -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet \
		--disable-pip-version-check uv==0.13.9
	.venv-lock/bin/uv pip compile --quiet --universal \
		--python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate requirements.txt requirements-dev.txt \
		--output-file requirements.lock
	grep -vE '^(nvidia|cuda|triton)\b' requirements.lock \
		> .venv-lock/requirements.lock
	{ echo '# Every version that was tried together: Python 3.11 to 3.13, either'; \
		echo '# build of PyTorch.  Made by make lock, a constraint of make install.'; \
		cat .venv-lock/requirements.lock; } > requirements.lock

# Opens with the contents; the settings beside the script that writes them show
# Markdown as a page and not as its source.
lab: $(READ)
	$(PY) book/_ext/contents.py
	cd book && JUPYTER_CONFIG_PATH=$(CURDIR)/book/_ext \
		$(abspath $(VENV))/bin/jupyter lab \
		--LabApp.default_url=/lab/tree/contents.md

run: $(READ)
	$(PY) book/_ext/run_notebook.py $(CH)

# The checks of all chapters, as their outputs have them.
checked: $(READ)
	$(PY) book/_ext/checked.py

check: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m tests.test_thin
	$(PY) -m pytest -q tests/test_notebooks.py tests/test_layers.py \
		tests/test_mirror.py tests/test_thin.py

# Alone on the machine: what else runs is measured too.
bench: install
	PYTHONPATH=book $(PY) -m tests.benchmarks.run

# FILES=core/returns.py: of that file alone.
mutants: install
	$(ONE_THREAD) $(PY) -m tests.mutants.run --jobs $(JOBS) $(FILES)
