# The recipes are the CI steps: `make demo` shows the product, `make test` proves it.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Programs that the product and its tests run: nft and ip, conntrack for UDP and for looking, curl as a client,
# busybox as what containers of the tests hold.
PACKAGES := nftables iproute2 conntrack curl busybox-static
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo -E)

.PHONY: build demo test lint tools

build:
	$(CARGO) build --locked --package fairway

demo: tools build
	$(SUDO) scripts/demo.sh $(TARGET)/debug/fairway

# Tests that make namespaces need root; without it the compiled tests are run through sudo.
test: tools lint
	$(CARGO) test --workspace --locked --no-run
	$(if $(SUDO),CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(SUDO)") $(CARGO) test --workspace --locked --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

tools:
	scripts/install.sh $(PACKAGES) gcc libc6-dev
