# Two commands are all you need: "make run" and "make test". Both set up everything first.
# ARGS goes to the program or to pytest: make run ARGS=slide.svs, make test ARGS="tests/unit -q".
PYTHON ?= python3
SETUP = @command -v $(PYTHON) >/dev/null || { echo "her2viewer needs Python 3.11 or newer: sudo apt-get install -y python3 python3-venv"; exit 1; }; \
	$(PYTHON) packaging/bootstrap.py

.PHONY: run test lint setup clean
run:
	$(SETUP) run $(ARGS)
test:
	$(SETUP) test $(ARGS)
lint:
	$(SETUP) lint
setup:
	$(SETUP) setup
clean:
	$(SETUP) clean
