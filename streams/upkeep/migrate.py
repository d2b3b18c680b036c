"""Bringing the store's schema up to date, and checking whether it is."""

from streams.settings import Settings
from streams.store.client import Store
from streams.store.migrations import Changes, bring_up_to_date, changes_due


def migrate(settings: Settings) -> Changes:
    """Make the database, apply what it lacks, set how long its rows are kept; what was done.

    Raises:
        StoreError: the store cannot be used, an applied migration was edited, or the store is that
            of a newer program.
        StoreUnavailableError: the store does not answer, or does not let this user do it.
    """
    with Store.connect(settings) as store:
        return bring_up_to_date(store, settings)


def outstanding(settings: Settings) -> Changes:
    """What `migrate` would do now; needs only to read.

    Raises:
        StoreError: as `migrate` says.
    """
    with Store.connect(settings) as store:
        return changes_due(store, settings)
