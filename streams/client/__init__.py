"""The client: submits files to a gateway, each record once, whatever is cut off in between.

`submit_file` is what `xinshao submit` does; a platform that has its records in memory uses
`Client.deliver` with batches of its own.
"""

from streams.client.batches import FileBatch, batches
from streams.client.delivery import Client, GatewayUnavailableError, SubmitError
from streams.client.journal import Journal
from streams.client.outcome import Outcome, RowFault
from streams.client.submit import submit_file

__all__ = [
    "Client",
    "FileBatch",
    "GatewayUnavailableError",
    "Journal",
    "Outcome",
    "RowFault",
    "SubmitError",
    "batches",
    "submit_file",
]
