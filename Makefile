# The everyday commands; each is what CI runs.
BIN = .venv/bin
UV_COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras --python-version 3.11

.PHONY: up demo test lint types contracts check lock
up:
	./bursar up
demo:
	./bursar demo
test:
	./bursar test
lint:
	$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/djlint --lint --quiet templates
types:
	$(BIN)/mypy bursar launcher config merchants payments callbacks sandbox
contracts:
	$(BIN)/lint-imports
check:
	bash .ci/run
lock:
	$(UV_COMPILE) pyproject.toml -o requirements.lock
	$(UV_COMPILE) --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock
