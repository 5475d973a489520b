"""Groups that text-dedup finds, as JSON: run by a Python that has it installed, which is not the project's.

``python -P text_dedup_groups.py ARTICLES OUTPUT THRESHOLD``: ARTICLES is JSON Lines with a field ``text``,
OUTPUT becomes a list with the group of each line. Its MinHash is used as its command line offers it, with 5-word
shingles; short texts are not left out.
"""

import json
import sys
import tempfile
from pathlib import Path


def main(articles: str, output: str, threshold: str) -> None:
    """Run its command line in this process and ask its union-find."""
    from text_dedup import minhash  # not among the dependencies, see above

    with Path(articles).open(encoding="utf-8") as lines:
        count = sum(1 for _ in lines)
    with tempfile.TemporaryDirectory() as folder:
        given = [
            "--path",
            "json",
            "--data_files",
            articles,
            "--split",
            "train",
            "--cache_dir",
            f"{folder}/cache",
        ]
        given += ["--output", f"{folder}/kept", "--column", "text", "--ngram", "5", "--min_length", "1"]
        given += ["--num_proc", "1", "--hash_func", "xxh3", "--threshold", threshold]
        minhash.main.main(given, standalone_mode=False)
        groups = [int(minhash.uf.find(number)) for number in range(count)]
    Path(output).write_text(json.dumps(groups), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
