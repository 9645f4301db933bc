# The recipes are the CI steps: `make demo` shows the product, `make test` proves it.

CARGO ?= cargo

.PHONY: test lint

test: lint
	$(CARGO) test --workspace --locked

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
