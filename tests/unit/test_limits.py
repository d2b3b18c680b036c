"""The rate limiter: what passes in any stretch of time, and when to come again."""

from hypothesis import given
from hypothesis import strategies as st

from streams.intake.gateway.rate import RateLimiter


def test_a_burst_passes_then_the_rate() -> None:
    limiter = RateLimiter(rate=10, burst=50)
    assert limiter.take("a", 50, 0.0) == 0
    assert limiter.take("a", 5, 0.0) == 0.5
    assert limiter.take("a", 5, 0.5) == 0
    assert limiter.take("b", 50, 0.5) == 0  # each key has its own
    assert limiter.take("a", 50, 1000.0) == 0  # no more than a burst is saved up
    assert limiter.take("a", 1, 1000.0) == 0.1


def test_a_delivery_larger_than_the_burst_is_paid_off_afterwards() -> None:
    limiter = RateLimiter(rate=10, burst=50)
    assert limiter.take("a", 200, 0.0) == 0
    assert limiter.take("a", 1, 0.0) == 15.1


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), max_size=60),
    st.floats(0.5, 100),
    st.integers(60, 100),
)
def test_never_more_than_rate_and_burst_and_whoever_waits_as_told_passes(
    asked: list[tuple[float, int]], rate: float, burst: int
) -> None:
    limiter = RateLimiter(rate, burst)
    now = passed = 0.0
    for pause, count in asked:
        now += pause
        wait = limiter.take("a", count, now)
        if wait:
            now += wait * (1 + 1e-9) + 1e-9
            assert limiter.take("a", count, now) == 0
        passed += count
        assert passed <= burst + rate * now * (1 + 1e-6) + 1e-6
