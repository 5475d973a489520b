"""The benchmark suite: speed, memory and recall side by side, each peer live in the same run."""
