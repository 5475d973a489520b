"""dedup: which news articles carry the same copy, in what way, and the passages that prove it."""

__version__ = "0.1.0"
