"""Every foreseen error of the program, by what is to be done about it.

There are three kinds. Each error is beside the code that raises it, under the kind that says
what its caller, a person or a program, should do next:

XinshaoError                      models.errors
├── InputError                    models.errors: what was given is wrong; the same again will fail
│   ├── AlreadyFrozenError        streams.bulletin
│   ├── BulletinError             models.bulletin.check
│   ├── Failure                   streams.cli.terminal
│   ├── KeysError                 streams.intake.keys
│   ├── NotRendered               streams.watch.alerts.check
│   ├── OutsideCalendar           models.calendar
│   ├── RefusedError              streams.store.errors
│   ├── RegistryError             models.registry
│   ├── SettingsError             streams.settings
│   ├── SubmitError               streams.client.delivery
│   ├── Unreadable                models.submission
│   ├── UnusableFile              streams.files.row
│   └── YamlFault                 models.yaml_lines
│       └── CalendarError         models.calendar
├── LaterError                    streams.errors: not now; the same may succeed later
│   ├── GatewayUnavailableError   streams.client.delivery
│   ├── LogUnavailableError       streams.log.connection
│   └── StoreUnavailableError     streams.store.errors
│       └── SchemaBehindError     streams.store.errors
├── OperatorError                 streams.errors: stop; somebody who runs the program must act
│   ├── BrokerUnavailableError    streams.demo.tansu
│   ├── DemoError                 streams.demo.month
│   ├── GatewayError              streams.intake.gateway.server
│   ├── LogError                  streams.log.connection
│   ├── RecoverError              streams.upkeep.restore
│   ├── StateError                streams.judging.state
│   ├── StoreError                streams.store.errors
│   ├── ToolsMissingError         streams.watch.alerts.check
│   ├── TopicError                streams.log.topics
│   ├── UnansweredError           streams.log.source
│   ├── WatchersUnavailableError  streams.demo.watchers
│   └── WorkerError               streams.worker
├── KeyRefused                    streams.intake.keys: of either of the first two, as its code says
└── Problem                       streams.intake.gateway.problems: so too, as its status says

What is raised without a name of its own is one of the three kinds itself. `models.entries.Fault`
is none of these: it speaks to pydantic, which makes a ValidationError of it. What Kafka's and
ClickHouse's clients raise becomes one of these at the edge (`streams.log`, `streams.store`).

The command line catches the base, once (`streams.cli.run`). Everything else is a fault of the
program.
"""

import traceback
from pathlib import Path

from models.errors import InputError, XinshaoError

__all__ = ["InputError", "LaterError", "OperatorError", "XinshaoError", "places"]


class LaterError(XinshaoError):
    """Not now: the same may succeed later."""


class OperatorError(XinshaoError):
    """Stop: the operator must act before the program can go on."""


def places(error: BaseException) -> str:
    """The last places that an error came through, without its message, which may be personal."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
