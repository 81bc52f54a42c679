"""What a template says of itself, in YAML between `---` lines at the beginning of its file."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.sync import Purpose

Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z][A-Za-z0-9]{1,7})?$")]
TextName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Template(BaseModel):
    """The front matter of `dbt_project/templates/NAME.*`; the text follows it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    description: str = ""
    subject: str | None = Field(default=None, min_length=1, description="Of an e-mail; the title of a push")
    sender: str | None = Field(
        default=None, alias="from", min_length=3, description="`Name <address>`; default: what the sink says"
    )
    reply_to: str | None = Field(default=None, min_length=3, description="Where answers go; default: to the sender")
    purpose: Purpose | None = Field(
        default=None, description="What it may be sent for; default: whatever a journey says it is"
    )
    locale: Locale = Field(default="en", description="The language of a template that has one")
    locales: dict[Locale, dict[TextName, str]] = Field(
        default_factory=dict,
        description="Texts by language, the first for people with another; the body has them as `{{ t.NAME }}`",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Half a translation is a message in two languages."""
        first, *others = self.locales or {self.locale: {}}
        for other in others:
            missing = self.locales[first].keys() ^ self.locales[other].keys()
            if missing:
                message = f"`{first}` and `{other}` must have the same texts; in one only: {', '.join(sorted(missing))}"
                raise ValueError(message)
        return self

    @property
    def languages(self) -> tuple[str, ...]:
        """The locales it can be read in, the fall-back first."""
        return tuple(self.locales) or (self.locale,)
