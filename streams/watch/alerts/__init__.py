"""Alerts: what is told of the figures, to whom, and how that is checked before it runs."""
