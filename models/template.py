"""What a template says of itself, in YAML between `---` lines at the beginning of its file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from models.journey import Property
from models.sync import Purpose


class Template(BaseModel):
    """The front matter of `dbt_project/templates/NAME.*`; the text follows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    subject: str | None = Field(default=None, min_length=1, description="Of an e-mail")
    purpose: Purpose | None = Field(
        default=None, description="What it may be sent for; default: whatever a journey says it is"
    )
    variables: tuple[Property, ...] = Field(default=(), description="What its text uses besides the person's profile")
