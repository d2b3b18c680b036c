"""The counts of a tally as columns: the fields of `Tally`, in their order."""

from typing import Final

from models.tally import Tally

TALLY_COLUMNS: Final = ", ".join(Tally._fields)
"""As they are in a table or a view; `Tally(*row)` takes them."""

TALLY_SUMS: Final = ", ".join(f"sum({name})" for name in Tally._fields)
"""Added up over rows."""
