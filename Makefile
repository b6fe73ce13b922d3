# Two commands for a newcomer: `make demo` and `make test`. The rest is for those who change the code. What each of the two
# installs is said before it does, and in the README; measured on Debian 12 with the CPU build of PyTorch.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Hundreds of processes import the same modules: they may keep them compiled, whatever the surroundings say.
export PYTHONDONTWRITEBYTECODE :=

# What the tests of live audio, of the files that ffmpeg reads and of the HTML report drive; where it can't be installed
# they say so and are skipped.
SYSTEM_PACKAGES := libportaudio2 libasound2-dev alsa-utils libasound2-plugins pulseaudio pulseaudio-utils gcc chromium ffmpeg sox

# Two at a time: what takes longest first, so that neither is left alone at the end.
NETWORKS := pvqe-s-far pvqe-xs pvqe-s
CHECKS_INT8 := $(NETWORKS:%=check-int8-%)

AUDIO_TESTS := $(BIN)/python -m pytest -rs tests/edge_pse/audio

.PHONY: demo test compiled-tests check check-int8 bench report peers format clean system-packages test-pipewire test-browser test-panel test-satellite test-arm test-install footprint soak fuzz mutants

demo: $(VENV)/.demo
	$(BIN)/python -m evaluation.demo

# The gates first, two at a time. Then four processes, of which two hear live audio, whose tests mostly wait.
test:
	@$(MAKE) --no-print-directory -j2 system-packages $(VENV)/.pytorch
	@$(MAKE) --no-print-directory -j2 --output-sync $(CHECKS_INT8) check compiled-tests
	$(BIN)/python -m pytest -n 4

# Once, beside the gates: else each of the four processes compiles for itself all that the tests import. What fails is said
# by the tests.
compiled-tests: $(VENV)/.development
	-@$(BIN)/python -m pytest --collect-only -q > /dev/null

check: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each of these needs more packages than make test, names them where they are missing, and takes minutes.
test-pipewire: $(VENV)/.development
	$(AUDIO_TESTS)/on_pipewire.py

test-browser: $(VENV)/.development
	$(AUDIO_TESTS)/on_chromium.py

# The panel from beginning to end; make test-panel PICTURES=docs makes the pictures of its page anew.
test-panel: $(VENV)/.development
	$(if $(PICTURES),EDGE_PSE_PICTURES=$(PICTURES)) $(AUDIO_TESTS)/on_panel.py

# The satellite wants an older wyoming than its neighbours.
test-satellite: $(VENV)/.development
	test -x .venv-satellite/bin/wyoming-satellite || \
		{ $(PYTHON) -m venv .venv-satellite && .venv-satellite/bin/pip install --quiet wyoming-satellite==1.0.0; }
	$(AUDIO_TESTS)/on_satellite.py

test-arm: $(VENV)/.development
	$(BIN)/python -m pytest -rs tests/targets/on_arm.py

# Installs, runs and removes edge-pse by its script in a fresh Debian: needs root, mmdebstrap and systemd-container.
test-install: $(VENV)/.development
	$(BIN)/python -m pytest -rs tests/targets/on_debian.py

footprint: $(VENV)/.development
	$(BIN)/python -m tests.footprint

soak: $(VENV)/.development
	$(BIN)/python -m tests.edge_pse.audio.soak live
	$(BIN)/python -m tests.edge_pse.assistant.soak

# Breaks the real-time code on purpose, a fifth of the places in half an hour, and lists what no test sees.
mutants: $(VENV)/.development
	$(BIN)/python -m tests.mutation --share 0.2 --minutes 40

# Mutated inputs, odd blocks and kills, for five minutes; make fuzz SEED=N repeats a run.
fuzz: $(VENV)/.development
	$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED))

# Every network that ships, two at a time.
check-int8: $(VENV)/.development
	@$(MAKE) --no-print-directory -j2 --output-sync $(CHECKS_INT8)

check-int8-%: $(VENV)/.development
	$(BIN)/python -m quantization.check --short --bars-only --network $*

bench: $(VENV)/.development
	$(BIN)/edge-pse bench --all

# The full evaluation needs the dev data: make report DATA=FOLDER (or EDGE_PSE_DATA).
report: $(VENV)/.development peers
	$(BIN)/python -m evaluation pvqe-s pvqe-xs --band 8 --input --reference --peer all $(if $(DATA),--data $(DATA)) --out report --publish
	$(BIN)/python -m evaluation pvqe-s-far pvqe-s-far.fp32 --input --peer webrtc-aec3 --peer speex-mdf --sets echo \
		$(if $(DATA),--data $(DATA)) --out report/echo --no-cost --publish
	$(BIN)/python -m quantization.publish
	$(BIN)/python -m evaluation.file_cost --publish
	$(BIN)/python -m studies embedding $(if $(DATA),--data $(DATA)) --publish
	$(BIN)/python -m evaluation.tables

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "Installing the library, LiteRT, matplotlib and PESQ into $(VENV): about 290 MB."
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	$(BIN)/python -m pip install --quiet 'pesq==0.0.4' || echo "PESQ needs a C compiler: the demo does without it."
	touch $@

# PyTorch first and alone: whatever comes after it finds its need met and pulls no other build. Of these packages few
# modules are ever imported, and Python compiles those as they are: to compile all takes half a minute.
$(VENV)/.pytorch: $(BIN)/python
	@echo "Installing PyTorch and what checks and tests need into $(VENV): about 1.8 GB. Where pip chooses the build of" \
		"PyTorch with CUDA, that is a download of 2.7 GB."
	$(BIN)/python -m pip install --quiet --no-compile torch==2.13.0
	touch $@

$(VENV)/.development: $(VENV)/.pytorch pyproject.toml
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[evaluation,training,development]'
	touch $@

system-packages:
	@missing=$$(for package in $(SYSTEM_PACKAGES); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done); \
	if [ -z "$$missing" ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing by apt, since you are root, up to 1.1 GB:" $$missing; \
		apt-get update -qq && apt-get install -qq --no-install-recommends -y $$missing >/dev/null; \
	else echo "Some tests will be skipped; for all of them: sudo apt-get install" $$missing; fi

# The suppressors of others that the report compares with; their needs don't go together with ours.
peers: .venv-peers/.installed

.venv-peers/.installed: evaluation/peers/requirements.txt evaluation/peers/requirements-bare.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement evaluation/peers/requirements.txt
	.venv-peers/bin/python -m pip install --quiet --no-deps --requirement evaluation/peers/requirements-bare.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
