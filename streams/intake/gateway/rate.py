"""Limits: how many records a second a key may deliver."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(slots=True)
class RateLimiter:
    """A token bucket for each key: `rate` records a second, `burst` of them at once.

    A delivery larger than `burst` passes when the bucket is full; the next ones wait for the debt.
    """

    rate: float
    burst: float
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def take(self, key_id: str, count: int, now: float) -> float:
        """Let `count` records of a key pass, or none.

        Args:
            key_id: Whose.
            count: How many.
            now: Seconds of a clock that never goes back.

        Returns:
            0 where they may pass, else the seconds after which they might.
        """
        bucket = self._buckets.setdefault(key_id, _Bucket(self.burst, now))
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.filled_at) * self.rate)
        bucket.filled_at = now
        missing = min(count, self.burst) - bucket.tokens
        if missing > 0:
            return missing / self.rate
        bucket.tokens -= count
        return 0.0
