"""What the store cannot do, and why."""

from streams.errors import InputError, LaterError, OperatorError


class StoreError(OperatorError):
    """The store cannot be used as it is; the message says why and what to do, in Chinese."""


class StoreUnavailableError(LaterError):
    """The store does not answer, or not now: the same call may succeed later."""


class SchemaBehindError(StoreUnavailableError):
    """The database lacks tables or migrations that this program needs: `xinshao migrate`."""


class RefusedError(InputError):
    """The store refuses what it was given to insert; it holds none of it.

    `name` and `code` are ClickHouse's; its own message is left out, as it carries the data.
    """

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"数据库不接受（{name}，代码 {code}）")
        self.name = name
        self.code = code
