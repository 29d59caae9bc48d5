# The two commands of the README. Each makes .venv first when it is not there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

demo: $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/secondsight demo

test: $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,heic,speech,ocr]'
	$(BIN)/secondsight models pull
	$(BIN)/python -m pytest

lint: $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf .venv build *.egg-info
