"""Pure functions over values: no input or output, no clock, no settings, no state; whoever calls them times them.

An article becomes text (:mod:`~dedup.core.text`), shingles, a sketch, candidates, alignments, verified matches, a
decision and a place in a cluster of a story, each noun a module; :mod:`~dedup.core.provenance` finds who is credited,
:mod:`~dedup.core.kernels` holds the compiled loops.
"""
