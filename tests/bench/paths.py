"""Where the benchmarks keep what they need: one directory, which may be deleted."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
HOME = ROOT / ".local-bench"
STATE = HOME / "stack"
STORE = HOME / "store"
OUT = HOME / "out"  # what the peers write
PEERS_PYTHON = HOME / "venv" / "bin" / "python"
CONNECT = HOME / "connect"
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = PAGE.with_suffix(".json")  # what the page shows: a run of some rows leaves the others
