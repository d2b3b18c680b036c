"""The ways in: who may submit what, and the adapters that ask it (gateway, Kafka, replay)."""
