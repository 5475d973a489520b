"""What the command line asks of every part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.beside import Beside


@dataclass(frozen=True, slots=True)
class Options:
    """``articles`` and ``seconds`` of 0 and ``sizes`` of () leave the choice to the part.

    ``beside`` is another commit that takes turns with ours; without ``peers``, datasketch and rensa are left out.
    """

    quick: bool = False
    articles: int = 0
    rounds: int = 3
    seconds: float = 0.0
    sizes: tuple[int, ...] = ()
    data: Path = Path("../shared/data")
    output: Path = Path("build/bench")
    console: Console | None = None
    beside: Beside | None = None
    peers: bool = True

    def count(self, *, quick: int, full: int) -> int:
        """How many articles a part takes."""
        return self.articles or (quick if self.quick else full)

    def say(self, message: str) -> None:
        """Tell how far the run has come."""
        if self.console is not None:
            self.console.print(f"[dim]{message}[/dim]", highlight=False)
