"""Judging: the judge of the stream, its record state, rebuilding that, and judging offline."""
