# Two commands do everything: `make run` and `make test`. Each builds .venv first if it isn't there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-keras test-tensorflow test-backends test-torch test-others test-slow lint docs bench bench-backends

run: .venv/installed
	$(BIN)/compare run --backbone resnet50

# one framework a process: TensorFlow imported before torch crashes torch's optimizers. The longest start first
test: .venv/installed
	$(MAKE) --jobs=2 test-others test-tensorflow test-backends test-torch docs lint

# two processes share the machine: a second thread of PyTorch's waits for its core in a loop, which takes the other's
test-torch: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/torch

test-keras: test-tensorflow test-backends

test-tensorflow: .venv/installed
	$(BIN)/python -m pytest tests/keras

# the backends of Keras beside TensorFlow run what is marked for them: BACKENDS=jax takes one of them
BACKENDS ?= torch jax
test-backends: .venv/installed
	for backend in $(BACKENDS); do $(BIN)/python -c "import $$backend" || continue; \
		KERAS_BACKEND=$$backend CUDA_VISIBLE_DEVICES=-1 JAX_PLATFORMS=cpu \
		$(BIN)/python -m pytest tests/keras -m "backend and not slow" || exit; done

# what needs an accelerator; it says why it skips where there is none
.PHONY: test-gpu
test-gpu: .venv/installed
	$(BIN)/python -m pytest -m gpu -rs tests/gpu

test-others: .venv/installed browser
	NEEDS_BROWSER=1 $(BIN)/python -m pytest tests --ignore=tests/torch --ignore=tests/keras

# the report is looked at in a browser: Debian's Chromium, where there is none yet
.PHONY: browser
browser:
	@command -v chromium || command -v google-chrome || (apt-get -qq update && apt-get -qq install --yes chromium)

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow tests/torch
	$(BIN)/python -m pytest -m slow tests/keras
	$(BIN)/python -m pytest -m slow tests --ignore=tests/torch --ignore=tests/keras

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# every tutorial is run anew: a kept result would hide that a command no longer does what its page says
docs: .venv/installed
	rm -rf site .cache
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m mkdocs build

bench: .venv/installed
	$(BIN)/python -m benchmarks.against_baselines

bench-backends: .venv/installed
	$(BIN)/python -m benchmarks.backends

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@
