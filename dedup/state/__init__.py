"""A collection as the fold of its log: pure, in memory, the same in every process that has read as far."""
