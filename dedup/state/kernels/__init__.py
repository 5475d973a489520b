"""The compiled loops of the fold; :mod:`dedup.state.collection` is what calls them."""

from dedup.core.kernels import place

place.choose()
