"""What every table of the configuration is built of: strict, frozen, unknown keys are errors."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 of a-z 0-9 _ . -, beginning with a letter or digit")
    return value


def _printable_secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable() or not value.get_secret_value().isascii():
        raise ValueError("must be printable ASCII")
    return value


Name = Annotated[str, AfterValidator(_name)]
Secret = Annotated[SecretStr, AfterValidator(_printable_secret)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """One table."""

    # A value in an error message could be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
