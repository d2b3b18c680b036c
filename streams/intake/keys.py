"""Keys: what a platform shows at the gateway to prove who it is.

A key reads `xs_<id>_<secret>`: the id is public (it is in the audit), the secret has 256 bits.
All keys are in one file, which holds of each secret only a salted scrypt hash. A key speaks for
what its platform may speak for in the registry, or for less where it was issued so; a platform that
is removed from the registry has no keys.
"""

import asyncio
import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b, scrypt
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.registry import Registry
from models.words import Category
from streams.errors import InputError, XinshaoError

log = logging.getLogger(__name__)

FORM: Final = re.compile(r"xs_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
"""A key's text; its form lets secret scanners recognise it."""

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the file: a change takes effect at most that much later."""

MOST_WAITING: Final = 64
"""Requests that wait for a hash at a time; guessers must not fill the memory."""

Refusal = Literal["missing", "malformed", "unknown", "expired", "revoked", "busy"]


class KeysError(InputError):
    """The key file cannot be used, or a key cannot be issued so; `str()` says why, in Chinese."""


class KeyRefused(XinshaoError):
    """A key does not open.

    Attributes:
        code: For the audit; the outside learns that it was refused, never whether such a key
            exists. `unknown` is a wrong id or a wrong secret; `busy` says nothing of the key: too
            many others are being looked at, the same request may succeed later.
        key_id: The id that was shown; "" where none could be read.
    """

    def __init__(self, code: Refusal, key_id: str = "") -> None:
        super().__init__(code)
        self.code: Final = code
        self.key_id: Final = key_id


class Key(NamedTuple):
    """A key that opened: who speaks, and for whom and what it may."""

    id: str
    platform: str
    units: frozenset[str]
    categories: frozenset[Category]

    def may(self, unit_id: str, category: Category) -> bool:
        """Whether the key may deliver this category for this unit."""
        return unit_id in self.units and category in self.categories


Hexadecimal = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$")]


class StoredKey(BaseModel):
    """A key as the file keeps it. No units or no categories: all that its platform has.

    It opens from `issued_at` on, until before `expires_at` and `revoked_at`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    platform: str
    units: frozenset[str] | None = None
    categories: frozenset[Category] | None = None
    issued_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    salt: Annotated[Hexadecimal, Field(repr=False)]
    hash: Annotated[Hexadecimal, Field(repr=False)]

    def closed(self, now: datetime) -> Literal["expired", "revoked"] | None:
        """Why the key does not open at that time; None where it does."""
        if self.revoked_at is not None and now >= self.revoked_at:
            return "revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return None


class KeyFile(BaseModel):
    """All keys there are and ever were. A missing file holds none."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    keys: list[StoredKey] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            KeysError: it cannot be read, or is no key file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise KeysError(f"读不了密钥文件 {path}（{error.strerror}），请检查权限") from error
        except ValidationError:
            raise KeysError(f"密钥文件 {path} 已损坏：请从备份恢复，或删去后重新签发") from None

    @classmethod
    @contextmanager
    def change(cls, path: Path) -> Iterator[Self]:
        """Read the file and replace it whole at the end; one process at a time.

        Raises:
            KeysError: as `read`.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = cls.read(path)
            yield content
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content.model_dump_json(indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)


def issue(
    path: Path,
    registry: Registry,
    platform_id: str,
    now: datetime,
    *,
    units: frozenset[str] | None = None,
    categories: frozenset[Category] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a key beside those that the platform has. Only the caller ever gets its text.

    Args:
        path: The key file.
        registry: Says what the platform may.
        platform_id: Whose key it is.
        now: The time of issue.
        units: Ids of the units that it speaks for; None: all that the platform has.
        categories: What it may deliver; None: all that the platform may.
        expires_at: From when on it no longer opens; None: never.

    Raises:
        KeysError: the registry knows no such platform, the key would be wider than it, or the file
            cannot be used.
    """
    platform = registry.platform(platform_id)
    if platform is None:
        raise KeysError(f"平台“{platform_id}”不在登记册（platforms.yaml）中，请先登记")
    if wider := sorted((units or frozenset()) - platform.speaks_for):
        raise KeysError(f"平台“{platform.name}”无权代 {'、'.join(wider)} 报送，请核对登记册")
    if more := sorted((categories or frozenset()) - platform.categories):
        names = "、".join(category.zh for category in more)
        raise KeysError(f"平台“{platform.name}”无权报送{names}，请核对登记册")
    id_, secret, salt = secrets.token_hex(6), secrets.token_hex(32), secrets.token_bytes(16)
    with KeyFile.change(path) as content:
        content.keys.append(
            StoredKey(
                id=id_,
                platform=platform.id,
                units=units,
                categories=categories,
                issued_at=now,
                expires_at=expires_at,
                salt=salt.hex(),
                hash=_hash(secret, salt).hex(),
            )
        )
    return f"xs_{id_}_{secret}"


def revoke(path: Path, key_id: str, at: datetime) -> StoredKey:
    """Make a key invalid from that time on; an earlier revocation stays.

    Raises:
        KeysError: there is no such key, or the file cannot be used.
    """
    with KeyFile.change(path) as content:
        for index, key in enumerate(content.keys):
            if key.id == key_id:
                at = min(at, key.revoked_at or at)
                revoked = content.keys[index] = key.model_copy(update={"revoked_at": at})
                return revoked
        raise KeysError(f"没有编号为“{key_id}”的密钥：用 xinshao keys list 查看")


class KeyRing:
    """The keys of a file, as a gateway asks for them; a change of the file needs no restart.

    The slow hash is computed once for each key, then a keyed fast one recognises it; whether it has
    expired or was revoked is checked each time.
    """

    def __init__(
        self, path: Path, registry: Registry, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file.

        Raises:
            KeysError: it cannot be used.
        """
        self._path = path
        self._registry = registry
        self._monotonic = monotonic
        self._pepper = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}
        """Fast hash of a key's text, by its slow hash."""
        self._slow = asyncio.Lock()
        self._waiting = 0
        self._version = self._version_now()
        self._keys = self._read()
        self._looked = monotonic()

    def verify(self, presented: str | None, now: datetime) -> Key:
        """Recognise a key by its text. Takes some 50 ms of processor time for one not seen before.

        Raises:
            KeyRefused: it does not open.
        """
        return self._opened(presented, now) or self._compared(presented or "", now)

    async def verified(self, presented: str | None, now: datetime) -> Key:
        """Recognise a key by its text without blocking the event loop; one slow hash at a time.

        Raises:
            KeyRefused: it does not open.
        """
        if key := self._opened(presented, now):
            return key
        if self._waiting >= MOST_WAITING:
            raise KeyRefused("busy")
        self._waiting += 1
        try:
            async with self._slow:
                return await asyncio.to_thread(self.verify, presented, now)
        finally:
            self._waiting -= 1

    def _opened(self, presented: str | None, now: datetime) -> Key | None:
        """The key, where it is one that was seen before."""
        if not presented:
            raise KeyRefused("missing")
        match = FORM.fullmatch(presented)
        if match is None:
            raise KeyRefused("malformed")
        self._look()
        stored = self._keys.get(match[1])
        fast = self._known.get(stored.hash) if stored else None
        if stored and fast and compare_digest(fast, self._fast(presented)):
            return self._key(stored, now)
        return None

    def _compared(self, presented: str, now: datetime) -> Key:
        _, id_, secret = presented.split("_")
        stored = self._keys.get(id_)
        # An unknown id costs what a known one costs.
        salt, expected = (stored.salt, stored.hash) if stored else (_NO_SALT, _NO_HASH)
        right = compare_digest(_hash(secret, bytes.fromhex(salt)), bytes.fromhex(expected))
        if stored is None or not right:
            raise KeyRefused("unknown", id_)
        self._known[stored.hash] = self._fast(presented)
        return self._key(stored, now)

    def _key(self, stored: StoredKey, now: datetime) -> Key:
        if closed := stored.closed(now):
            raise KeyRefused(closed, stored.id)
        platform = self._registry.platform(stored.platform)
        if platform is None:
            raise KeyRefused("revoked", stored.id)
        units, categories = platform.speaks_for, platform.categories
        return Key(
            stored.id,
            platform.id,
            units if stored.units is None else units & stored.units,
            categories if stored.categories is None else categories & stored.categories,
        )

    def _fast(self, presented: str) -> bytes:
        return blake2b(presented.encode(), key=self._pepper, digest_size=32).digest()

    def _look(self) -> None:
        """Read the file again where it has changed; a broken one changes nothing but the log."""
        if self._monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = self._monotonic()
        version = self._version_now()
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = self._read()
        except KeysError as error:
            log.error("%s；继续使用此前读到的密钥", error)  # noqa: TRY400 - the message says all

    def _read(self) -> dict[str, StoredKey]:
        return {key.id: key for key in KeyFile.read(self._path).keys}

    def _version_now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _hash(secret: str, salt: bytes) -> bytes:
    """The slow hash (RFC 7914). Its cost never changes: every hash in every file is made so."""
    return scrypt(secret.encode(), salt=salt, n=1 << 14, r=8, p=1, maxmem=1 << 26, dklen=32)


_NO_SALT: Final = bytes(16).hex()
_NO_HASH: Final = bytes(32).hex()
