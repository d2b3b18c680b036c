"""The fourteen categories: one record model each, and the schema that judges it."""

from typing import Final

from models.records.administrative import (
    Adjudication,
    Confirmation,
    Enforcement,
    Inspection,
    OtherAction,
    Reward,
)
from models.records.base import Item, Record, Schema
from models.records.commitment import Commitment, Fulfilment
from models.records.licence import Licence
from models.records.penalty import Penalty
from models.records.publicity import Publicity
from models.records.subjects import Basic, Grading, JointCase
from models.words import Category

MODELS: Final[tuple[type[Record], ...]] = (
    Licence,
    Penalty,
    Enforcement,
    Confirmation,
    Adjudication,
    Reward,
    Inspection,
    OtherAction,
    Grading,
    Basic,
    Commitment,
    Fulfilment,
    JointCase,
    Publicity,
)

SCHEMAS: Final[dict[Category, Schema]] = {model.category: Schema(model) for model in MODELS}

__all__ = ["MODELS", "SCHEMAS", "Item", "Record", "Schema"]
