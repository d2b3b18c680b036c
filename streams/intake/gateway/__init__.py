"""The gateway: what platforms and small departments deliver over HTTP, and what they may ask."""

from streams.intake.gateway.server import GatewayError, create_app, serving

__all__ = ["GatewayError", "create_app", "serving"]
