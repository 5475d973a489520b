"""Generated from proto/dedup/v1 by proto/generate.py; do not edit."""
