"""Kafka and nothing else: connecting, topics, reading, writing, and the form of every message."""
