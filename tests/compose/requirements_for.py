"""Reduce a lock file on standard input to what Linux with one version of Python needs, unconditionally."""

from __future__ import annotations

import sys

from packaging.markers import Marker


def main() -> None:
    """Print the requirements whose condition holds there."""
    version = sys.argv[1]
    environment = {"python_full_version": version, "python_version": ".".join(version.split(".")[:2])}
    for line in sys.stdin.read().replace("\\\n", " ").splitlines():
        requirement, conditional, rest = line.partition(" ; ")
        marker, _, hashes = rest.partition(" --hash")
        if line.startswith("#") or (conditional and not Marker(marker).evaluate(environment)):
            continue
        print(f"{requirement} --hash{hashes}" if conditional else line)


if __name__ == "__main__":
    main()
