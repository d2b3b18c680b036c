"""诚信宣传活动."""

from typing import Annotated, ClassVar

from models.records.base import Record, decided_day, remark, text
from models.rules import PROJECT, WEB_ADDRESS
from models.words import Category


class Publicity(Record):
    """开展诚信宣传活动统计表 (annex 3 of the bulletin); field codes and limits are our own."""

    category = Category.PUBLICITY
    source = PROJECT
    decided = "HD_RQ"
    subject = "GJ_BT"
    natural_key = ("GJ_BT", "KF_MT", "WZLJ")
    printed = ("KF_MT", "GJ_BT", "WZLJ", "BZ")
    example: ClassVar = {
        "BS_DW": "江夏区",
        "KF_MT": "长江日报",
        "GJ_BT": "诚信宣传进校园",
        "WZLJ": "https://news.example/2022/06/01/credit.html",
        "HD_RQ": "2022-06-01",
    }

    BS_DW: Annotated[str, text("报送单位/区", 200)]
    KF_MT: Annotated[str, text("刊发媒体", 200)]
    GJ_BT: Annotated[str, text("稿件标题", 256)]
    WZLJ: Annotated[str, text("网址链接", 2000, WEB_ADDRESS)]
    HD_RQ: Annotated[str, decided_day("刊发日期")]
    BZ: Annotated[str, remark()] = ""
