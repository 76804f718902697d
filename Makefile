# Two commands matter: `make demo` and `make test`. Both set up what they need (Debian; root or sudo).
SHELL := /bin/bash
NODE := node_modules/.bin/node

.PHONY: demo test sweep lint bench clean setup check-node

demo: setup
	@$(NODE) deploy/demo/main.ts

test: setup
	@$(NODE) test/run.ts $(STAGES)

# Every point at which a remediator may be killed, stopped or cut off, not only the selection that `make test` takes.
sweep: setup
	@PIPEMEDIC_SWEEP=full $(NODE) --test --test-reporter=spec --test-concurrency=2 'test/faults/*.test.ts'

lint: node_modules/.package-lock.json check-node
	@$(NODE) test/run.ts static

bench: setup
	@for f in test/bench/*.ts; do echo "== $$f"; $(NODE) --expose-gc $$f || exit 1; done

clean:
	rm -rf node_modules dist coverage

setup: node_modules/.package-lock.json check-node
	@deploy/lab/setup.sh

# Scripts must run: node@24 fetches its binary in its own install script, and without it everything would silently run
# on the machine's node.
node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo "installing nodejs and npm (Debian packages)"; \
	  if [ "$$(id -u)" = 0 ]; then s=; else s=sudo; fi; \
	  $$s apt-get update -qq && $$s env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
	@echo "installing npm packages"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

check-node:
	@$(NODE) -e 'if (Number(process.versions.node.split(".")[0]) < 24) { console.error("node_modules/.bin/node is " + process.version + ", wanted is 24 or newer: run `make clean` and again, with install scripts allowed"); process.exit(1) }'
