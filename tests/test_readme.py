"""The README's example runs as written, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dedup.config import load_settings
from dedup.server import background_server

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_as_written(tmp_path: Path, store_url: str) -> None:
    """The Python example against a fresh service gives a copy of the first article; only the address is replaced."""
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    with background_server(
        load_settings(listen="127.0.0.1:0", store=store_url, data_dir=tmp_path)
    ) as address:
        code = found.group(1).replace("127.0.0.1:7700", address)
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[0] == "CREATED COPY wire-1"
    assert run.stdout.splitlines()[1].startswith("EXACT wire-1 (Passage(")


def test_its_commands_exist() -> None:
    """Every make target and every dedup command named exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) - {"are"} <= targets
    commands = {path.stem for path in (ROOT / "dedup" / "cli").glob("*.py")}
    assert set(re.findall(r"bin/dedup ([a-z]+)", README)) <= commands
