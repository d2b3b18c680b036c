"""The embedded stack, and a published month replayed through it."""
