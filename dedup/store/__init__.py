"""Everything that speaks the Redis protocol: keys, bytes, scripts, the connection, and the embedded server."""
