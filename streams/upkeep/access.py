"""Who may do what on Kafka: its users and their rights, as the registry asks for them.

Each part of the program is a user of its own with what it needs and no more. A platform that writes
to Kafka itself is a user named as its ingress topic, which may write there, and nothing else.
`deploy/kafka/apply.sh` puts this into force; Kafka refuses what is not granted.
"""

from typing import Final, Literal, NamedTuple

from models.registry import Registry, Via
from streams.counting.sink import STORED, sink_group
from streams.log.topics import SUBMISSIONS, core_topics, ingress_topic
from streams.settings import Settings

FILE: Final = "acls.txt"
"""What `xinshao kafka render` writes, and `apply.sh` reads."""

_HEAD: Final = """\
# 由 xinshao kafka render 按登记册生成，请勿手改；用 deploy/kafka/apply.sh 生效。
# 用户 操作 资源类型 资源名……（没有写的一律拒绝）
"""


class Grant(NamedTuple):
    """A right: what a user may do with which topics or groups; read and write include describe."""

    user: str
    operations: tuple[str, ...]
    resource: Literal["topic", "group"]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.user, ",".join(self.operations), self.resource, *self.names))


def worker_groups(settings: Settings, registry: Registry) -> tuple[str, ...]:
    """The consumer groups that a worker joins."""
    names = (
        *("worker", "judge", "rollup"),
        *(sink_group(name) for name in STORED),
        *(f"admit-{platform}" for platform in _writers(registry)),
    )
    return tuple(map(settings.group, names))


def grants(settings: Settings, registry: Registry) -> list[Grant]:
    """All rights, in an order that depends on nothing but the registry's contents."""
    core = tuple(topic.name for topic in core_topics(settings))
    ingress = tuple(ingress_topic(settings, platform).name for platform in _writers(registry))
    worker, gateway, operator = map(settings.topic, ("worker", "gateway", "operator"))
    everything = ("Read", "Write", "Create", "DescribeConfigs")
    found = [
        Grant(worker, everything, "topic", core),
        Grant(worker, ("Read", "Create", "DescribeConfigs"), "topic", ingress),
        Grant(worker, ("Read",), "group", worker_groups(settings, registry)),
        Grant(gateway, ("Write",), "topic", (settings.topic(SUBMISSIONS),)),
        # doctor, reconcile, restore, rejects
        Grant(operator, everything, "topic", core),
        Grant(operator, ("Write",), "topic", ingress),
        *(Grant(topic, ("Write",), "topic", (topic,)) for topic in ingress),
    ]
    return [grant for grant in found if grant.names]


def _writers(registry: Registry) -> list[str]:
    return sorted(each.id for each in registry.platforms if each.via is Via.KAFKA)


def render(settings: Settings, registry: Registry) -> str:
    """All rights as `acls.txt` holds them; no passwords."""
    return _HEAD + "".join(f"{grant}\n" for grant in grants(settings, registry))
