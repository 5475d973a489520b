"""What pyproject.toml cannot say: a wheel holds the story families of ``seeds/``, for ``dedup demo``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SEEDS = Path("seeds")


class BuildWithSeeds(build_py):  # type: ignore[misc]  # setuptools comes without types
    """Copies ``seeds/`` into ``dedup/seeds``; an editable installation finds it beside the package."""

    def run(self) -> None:
        """Build the package, then add the families where they are at hand."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "dedup", "seeds")
            self.mkpath(str(target))
            for path in sorted([*SEEDS.glob("*.jsonl"), *SEEDS.glob("*.labels.json")]):
                self.copy_file(str(path), str(target / path.name))


setup(cmdclass={"build_py": BuildWithSeeds})
