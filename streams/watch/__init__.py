"""What is shown to machines: metrics, health pages, alert rules and routes."""
