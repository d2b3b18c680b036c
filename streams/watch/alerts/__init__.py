"""Alerts: what is reported of the figures, to whom, and how that is checked before it runs."""
