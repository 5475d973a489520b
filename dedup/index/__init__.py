"""The index on a Redis-protocol server: keys, scripts, records, and one method for everything asked of it."""
