"""Keys: issued, known, refused, revoked; what is kept of them, and what is written of their use."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from models.registry import Platform, Registry, Unit, Via
from models.words import Category, UnitKind
from streams.cli import run
from streams.intake import keys
from streams.intake.audit import Audit
from streams.intake.keys import KeyFile, KeyRefused, KeyRing, KeysError, Refusal, issue, revoke

NOW = datetime(2022, 6, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)
UNITS = (Unit(id="江夏区", kind=UnitKind.DISTRICT), Unit(id="黄陂区", kind=UnitKind.DISTRICT))
PLATFORM = Platform(
    id="jiangxia-tong",
    name="江夏一网通",
    owner="江夏区",
    speaks_for=frozenset({"江夏区", "黄陂区"}),
    categories=frozenset({Category.LICENCE, Category.PENALTY}),
    since=date(2022, 6, 1),
    via=Via.API,
)
REGISTRY = Registry(UNITS, (PLATFORM,))


@dataclass
class Ticks:
    """A monotonic clock that is moved by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def refusal(ring: KeyRing, presented: str | None, now: datetime = NOW) -> Refusal:
    with pytest.raises(KeyRefused) as refused:
        ring.verify(presented, now)
    return refused.value.code


def test_a_key_opens_for_what_it_was_issued_for(file: Path) -> None:
    whole = issue(file, REGISTRY, PLATFORM.id, NOW)
    part = issue(
        file,
        REGISTRY,
        PLATFORM.id,
        NOW,
        units=frozenset({"黄陂区"}),
        categories=frozenset({Category.PENALTY}),
    )
    ring = KeyRing(file, REGISTRY)
    key = ring.verify(whole, NOW)
    assert (key.platform, key.id) == (PLATFORM.id, whole.split("_")[1])
    assert {(u, c) for u in ("江夏区", "黄陂区", "汉阳区") for c in Category if key.may(u, c)} == {
        (u, c) for u in PLATFORM.speaks_for for c in PLATFORM.categories
    }
    key = ring.verify(part, NOW)
    assert [(u, c) for u in PLATFORM.speaks_for for c in Category if key.may(u, c)] == [
        ("黄陂区", Category.PENALTY)
    ]


def test_a_key_is_never_wider_than_its_platform(file: Path) -> None:
    whole = issue(file, REGISTRY, PLATFORM.id, NOW)
    both = issue(file, REGISTRY, PLATFORM.id, NOW, units=frozenset({"江夏区", "黄陂区"}))
    for given in ({"units": frozenset({"汉阳区"})}, {"categories": frozenset({Category.BASIC})}):
        with pytest.raises(KeysError, match="无权"):
            issue(file, REGISTRY, PLATFORM.id, NOW, **given)
    with pytest.raises(KeysError, match="登记"):
        issue(file, REGISTRY, "nobody", NOW)
    assert len(KeyFile.read(file).keys) == 2

    narrowed = PLATFORM.model_copy(update={"speaks_for": frozenset({"江夏区"})})
    ring = KeyRing(file, Registry(UNITS, (narrowed,)))
    assert ring.verify(whole, NOW).units == ring.verify(both, NOW).units == {"江夏区"}
    assert refusal(KeyRing(file, Registry(UNITS)), whole) == "revoked"


def test_refusals(file: Path) -> None:
    text = issue(file, REGISTRY, PLATFORM.id, NOW, expires_at=NOW + DAY)
    ring = KeyRing(file, REGISTRY)
    _, id_, secret = text.split("_")
    other = secret[::-1]
    for shown, code in (
        (None, "missing"),
        ("", "missing"),
        ("Bearer", "malformed"),
        (text + "\n", "malformed"),
        (text.replace("_", "-"), "malformed"),
        (f"xs_{id_}_{other}", "unknown"),
        (f"xs_{'0' * 12}_{secret}", "unknown"),
    ):
        assert refusal(ring, shown) == code
    assert ring.verify(text, NOW + DAY - timedelta(microseconds=1))
    assert refusal(ring, text, NOW + DAY) == "expired"
    # A right id with a wrong secret is no way to learn how the key stands.
    assert refusal(ring, f"xs_{id_}_{other}", NOW + DAY) == "unknown"


def test_what_is_kept_and_told_holds_no_secret(file: Path) -> None:
    text = issue(file, REGISTRY, PLATFORM.id, NOW)
    secret = text.split("_")[2]
    assert re.fullmatch(r"xs_[0-9a-f]{12}_[0-9a-f]{64}", text)
    content = file.read_text("utf-8")
    assert secret not in content
    assert file.stat().st_mode & 0o777 == 0o600
    ring = KeyRing(file, REGISTRY)
    assert secret not in repr(ring.verify(text, NOW)) + repr(KeyFile.read(file))
    with pytest.raises(KeyRefused) as refused:
        ring.verify(text + "0", NOW)
    assert secret not in repr(refused.value)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that went through the slow hash."""
    slow: Callable[[str, bytes], bytes] = keys._hash
    seen: list[str] = []

    def count(secret: str, salt: bytes) -> bytes:
        seen.append(secret)
        return slow(secret, salt)

    monkeypatch.setattr(keys, "_hash", count)
    return seen


def test_the_slow_hash_is_paid_once_a_key_and_by_every_guess(file: Path, hashed: list[str]) -> None:
    text = issue(file, REGISTRY, PLATFORM.id, NOW)
    ring = KeyRing(file, REGISTRY)
    hashed.clear()
    for _ in range(3):
        ring.verify(text, NOW)
    assert len(hashed) == 1
    _, id_, secret = text.split("_")
    for guess in (f"xs_{id_}_{'0' * 64}", f"xs_{'0' * 12}_{secret}"):
        for _ in range(2):
            assert refusal(ring, guess) == "unknown"
    assert len(hashed) == 5


async def test_many_first_requests_of_a_key_pay_once_and_guessers_are_bounded(
    file: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = issue(file, REGISTRY, PLATFORM.id, NOW)
    ring = KeyRing(file, REGISTRY)
    hashed.clear()
    found = await asyncio.gather(*(ring.verified(text, NOW) for _ in range(20)))
    assert len(set(found)) == len(hashed) == 1
    monkeypatch.setattr(keys, "MOST_WAITING", 2)
    guess = f"xs_{'0' * 12}_{'0' * 64}"
    outcomes = await asyncio.gather(
        *(ring.verified(guess, NOW) for _ in range(3)),
        ring.verified(text, NOW),
        return_exceptions=True,
    )
    codes = [each.code for each in outcomes if isinstance(each, KeyRefused)]
    assert sorted(codes) == ["busy", "unknown", "unknown"]
    assert outcomes[-1] == found[0]


def test_a_running_gateway_sees_new_and_revoked_keys(file: Path) -> None:
    ticks = Ticks()
    ring = KeyRing(file, REGISTRY, ticks)  # the file is not there yet
    old = issue(file, REGISTRY, PLATFORM.id, NOW)
    assert refusal(ring, old) == "unknown"
    ticks.at += keys.LOOK_EVERY
    assert ring.verify(old, NOW)

    new = issue(file, REGISTRY, PLATFORM.id, NOW)
    revoke(file, old.split("_")[1], NOW + DAY)
    ticks.at += keys.LOOK_EVERY
    assert ring.verify(old, NOW)
    assert ring.verify(new, NOW)
    assert refusal(ring, old, NOW + DAY) == "revoked"

    revoke(file, new.split("_")[1], NOW)
    ticks.at += keys.LOOK_EVERY
    assert refusal(ring, new) == "revoked"
    assert revoke(file, new.split("_")[1], NOW + DAY).revoked_at == NOW  # not opened again


def test_a_broken_file_is_told_and_shuts_nobody_out(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = Ticks()
    text = issue(file, REGISTRY, PLATFORM.id, NOW)
    ring = KeyRing(file, REGISTRY, ticks)
    file.write_bytes(file.read_bytes()[:-20])
    ticks.at += keys.LOOK_EVERY
    assert ring.verify(text, NOW)
    assert "已损坏" in caplog.text
    for unusable in (lambda: KeyRing(file, REGISTRY), lambda: revoke(file, "0" * 12, NOW)):
        with pytest.raises(KeysError, match="已损坏"):
            unusable()


def test_keys_issued_at_the_same_time_are_all_kept(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        issued = list(pool.map(lambda _: issue(file, REGISTRY, PLATFORM.id, NOW), range(8)))
    assert {key.id for key in KeyFile.read(file).keys} == {text.split("_")[1] for text in issued}
    assert len(set(issued)) == 8


# -- the audit


def test_the_audit_is_a_file_a_day_for_its_owner_only(tmp_path: Path) -> None:
    now = datetime(2022, 6, 3, 15, 59, 59, tzinfo=UTC)
    times = iter((now, now + timedelta(seconds=1), now + timedelta(seconds=2)))
    audit = Audit(tmp_path / "audit.ndjson", lambda: next(times))
    audit.write(
        "used", key="0a", platform="p", address="::1", route="batches", records=3, refused=0
    )
    audit.write("refused", address="::1", outcome="unknown")
    audit.write("refused", address="::1", outcome="missing")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["audit-2022-06-03.ndjson", "audit-2022-06-04.ndjson"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert orjson.loads(files[0].read_bytes()) == {
        "at": "2022-06-03T23:59:59.000+08:00",
        "event": "used",
        "key": "0a",
        "platform": "p",
        "address": "::1",
        "route": "batches",
        "records": 3,
        "refused": 0,
    }
    assert [orjson.loads(line)["outcome"] for line in files[1].read_bytes().splitlines()] == [
        "unknown",
        "missing",
    ]


# -- the verbs


def test_the_verbs_show_a_key_once_and_write_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XINSHAO_DATA", str(tmp_path))

    def xinshao(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        return code, *capfd.readouterr()

    code, text, _ = xinshao("keys", "issue", "caidian-dashuju", "--category", "行政处罚")
    assert code == 0
    ring = KeyRing(tmp_path / "keys.json", Registry(UNITS, (PLATFORM_OF_THE_CITY,)))
    key = ring.verify(text.strip(), datetime.now(UTC))
    assert key.categories == {Category.PENALTY}
    assert xinshao("keys", "revoke", key.id, "--after", "7d")[0] == 0
    code, listed, _ = xinshao("keys", "list", "--json")
    (entry,) = map(orjson.loads, listed.splitlines())
    assert (entry["id"], entry["state"]) == (key.id, "open")
    left = datetime.fromisoformat(entry["revoked_at"]) - datetime.fromisoformat(entry["issued_at"])
    assert 7 * DAY <= left < 8 * DAY
    assert not {"salt", "hash"} & entry.keys()
    (audit,) = tmp_path.glob("audit-*.ndjson")
    events = [orjson.loads(line) for line in audit.read_bytes().splitlines()]
    assert [(each["event"], each["key"]) for each in events] == [
        ("issued", key.id),
        ("revoked", key.id),
    ]
    secret = text.strip().split("_")[2]
    assert all(secret not in each.read_text("utf-8") for each in tmp_path.iterdir())

    for arguments, said in (
        (("keys", "issue", "nobody"), "登记"),
        (("keys", "issue", "caidian-dashuju", "--expires", "soon"), "时长"),
        (("keys", "revoke", "0" * 12), "没有编号"),
    ):
        code, out, err = xinshao(*arguments)
        assert (code, out) == (2, "")
        assert said in err


PLATFORM_OF_THE_CITY = Platform(
    id="caidian-dashuju",
    name="蔡甸区大数据平台",
    owner="蔡甸区",
    since=date(2022, 6, 1),
    via=Via.API,
)
