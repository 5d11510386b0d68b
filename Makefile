# make demo : sets everything up and styles an object of the embedded scene (no GPU, no downloads beyond packages)
# make test : sets everything up and runs the tests (those in a browser need Chromium, those of nerfstudio's ns-export
#             libraries of a desktop: it says so); make test TESTS="-k ply" hands options to pytest; make lint the rest
# make pretend-cuda : the CUDA path on a machine without a GPU (tests/pretend_cuda/README.md); make test does it, too
# make fuzz : 100,000 damaged files for every reader, going on from those that are refused at a new place; 300 a second
# make coverage : the tests once more, slower, with the lines that none of them runs
# make bench: the benchmarks of docs/measurements.md
# make mutants ROOM=history : would that room's tests notice if its code were wrong? (tests/mutants/README.md)
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# Two OpenMP runtimes (torch's and numba's) that spin starve each other on small machines: they sleep instead.
export OMP_WAIT_POLICY = passive
# A hundred processes read the same files: they are compiled once, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint coverage bench mutants fuzz pretend-cuda clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else f"Python 3.10 to 3.12 is needed, {sys.executable} is {sys.version.split()[0]}. Choose one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/ft2s demo

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

test: $(VENV)/.installed
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	    echo "Left out: tests in a browser (apt-get install chromium)"
	@$(BIN)/python -c 'import open3d, pymeshlab' 2>/dev/null || \
	    echo "Left out: tests of ns-export, for open3d cannot be loaded (apt-get install libegl1 libgl1 libusb-1.0-0 libx11-6)"
	# In the order of the folders: the browser's comes first, which has the longest file. A third of the time is spent
	# waiting (for a browser, for processes that are killed): three lanes, and the pretended GPU beside them, keep two
	# cores busy.
	@mkdir -p build; \
	nice $(MAKE) --no-print-directory pretend-cuda > build/pretend_cuda.txt 2>&1 & beside=$$!; \
	echo $(BIN)/pytest $(TESTS); \
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(TESTS); tests=$$?; \
	wait $$beside; beside=$$?; cat build/pretend_cuda.txt; exit $$((tests + beside))
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	    echo $(BIN)/pytest -m gpu; $(BIN)/pytest -m gpu; \
	else echo "Left out: tests on a GPU, there is none here"; fi

# In a process of its own, with a stand-in that is there before torch.
ON_PRETENDED_GPU = tests/pretend_cuda tests/scene/test_rasterize_gpu.py tests/guidance/test_objective.py \
    tests/editors/test_schedulers_on_gpu.py tests/live/test_session_on_gpu.py tests/plugin/test_on_gpu.py
pretend-cuda: $(VENV)/.installed
	@if ! command -v gcc >/dev/null; then echo "Left out: the pretended GPU (apt-get install gcc)"; \
	elif ! $(BIN)/python -c 'import sys, torch; sys.exit(torch.version.cuda is None)'; then \
	    echo "Left out: the pretended GPU (torch is a build without CUDA)"; \
	else OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p tests.pretend_cuda.plugin -n 0 -m gpu $(ON_PRETENDED_GPU); fi

coverage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered

bench: $(VENV)/.installed
	@for script in examples/benchmarks/*.py; do \
	    if grep -q required=True $$script; then echo "Left out: $$script wants a capture, see its first lines"; \
	    else $(BIN)/python $$script || exit 1; fi; \
	done

mutants: $(VENV)/.installed
	$(BIN)/python tests/mutants/run.py $(ROOM)

fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz.fuzzer $(or $(COUNT),100000) $(TARGETS)

clean:
	rm -rf $(VENV) build dist *.egg-info outputs demo
