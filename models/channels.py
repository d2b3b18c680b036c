"""告警送达: how alerts are sent."""

from typing import Annotated, Self

from pydantic import ValidationError, model_validator

from models.entries import Entry, Fault, Name, form, in_chinese, keys_of
from models.registry import RegistryError
from models.yaml_lines import YamlFault, line_at, parse_yaml

HourOfDay = Annotated[str, form(r"([01]\d|2[0-3]):[0-5]\d|24:00", '应为钟点，如 "08:30"，加引号')]


class Channels(Entry):
    """告警送达: how alerts are sent, and the office hours (Asia/Shanghai) in which warnings are.

    Secrets are in files of the folder `secrets` and never here. Without `mail_server` there is no
    e-mail, without `wecom_corp` no WeCom.
    """

    mail_server: (
        Annotated[str, form(r"[\w.-]+:\d+", "应为 主机:端口，如 smtp.example:587")] | None
    ) = None
    mail_sender: Name = "xinshao@localhost"
    mail_user: Name | None = None
    mail_tls: bool = True
    wecom_corp: Name | None = None
    wecom_agent: Name = ""
    wecom_url: Annotated[str, form(r"https?://\S+/", "应为地址，以 / 结尾")] = (
        "https://qyapi.weixin.qq.com/cgi-bin/"
    )
    office_opens: HourOfDay
    office_closes: HourOfDay
    secrets: Name = "/run/secrets"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.office_opens >= self.office_closes:
            raise Fault("的 office_opens 应早于 office_closes，请调整")
        return self

    @classmethod
    def parse(cls, text: str, file: str) -> Self:
        """Read the text of channels.yaml, called `file` in errors.

        Raises:
            RegistryError: with every mistake.
        """
        try:
            root = parse_yaml(text, file)
        except YamlFault as fault:
            raise RegistryError(f"{file}:{fault.line}: {fault.reason}") from None
        try:
            return cls.model_validate(root)
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False, include_input=False)
        raise RegistryError(
            *(
                f"{file}:{line_at(root, error['loc'])}: {in_chinese(error, keys_of(cls))}"
                for error in errors
            )
        )
