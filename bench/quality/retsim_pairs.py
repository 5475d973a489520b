"""Pairs of texts that RETSim finds alike, as JSON: run by a Python that has ``unisim`` installed, not the project's.

``python -P retsim_pairs.py ARTICLES OUTPUT THRESHOLD UNIT``: ARTICLES is JSON Lines with a field ``text``, OUTPUT
becomes a list of pairs of line numbers whose cosine reaches THRESHOLD: of whole texts (UNIT ``whole``: the mean of a
text's chunks, which is what the package calls its embedding), or of any chunk of 512 characters of the one with any of
the other (``chunk``), as the paper does for partial copies (Zhang et al., RETSim, ICLR 2024).
"""

import json
import sys
from pathlib import Path

import numpy as np

CHUNK = 512
BLOCK = 1024


def main(articles: str, output: str, threshold: str, unit: str) -> None:
    """Embed all, compare every two."""
    from unisim import TextSim  # not among the dependencies, see above

    with Path(articles).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    pieces, owners = [], []
    for number, text in enumerate(texts):
        for start in range(0, max(1, len(text)), CHUNK) if unit == "chunk" else (0,):
            pieces.append(text[start : start + CHUNK] if unit == "chunk" else text)
            owners.append(number)
    vectors = np.asarray(TextSim(store_data=False, use_accelerator=False).embed(pieces), np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    owner = np.array(owners)
    found: set[tuple[int, int]] = set()
    for start in range(0, len(vectors), BLOCK):
        alike = vectors[start : start + BLOCK] @ vectors[start:].T >= float(threshold)
        rows, columns = np.nonzero(alike)
        one, other = owner[rows + start], owner[columns + start]
        found.update(zip(one[one < other].tolist(), other[one < other].tolist(), strict=True))
    Path(output).write_text(json.dumps(sorted(found)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
