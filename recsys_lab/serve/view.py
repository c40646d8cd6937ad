"""What an address asks for. Every value of a request is checked here."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXT = 1000
_ITEM = Field(max_length=MAX_TEXT, description="raw id of an item")


class View(BaseModel):
    """The parameters of a page; the address holds those that differ from the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Annotated[str, _ITEM] = ""
    q: Annotated[str, Field(max_length=MAX_TEXT, description="id of an item, or words")] = ""
    k: Annotated[int, Field(ge=1, le=100, description="length of the lists")] = 10
    hide_known: Annotated[bool, Field(description="leave out training pairs")] = False
    show: Annotated[
        list[str], Field(max_length=100, description="names of lists; all if none")
    ] = []

    def link(self, **changes: object) -> str:
        """The address of this view with some changes."""
        values = self.model_copy(update=changes).model_dump(exclude_defaults=True)
        values = {name: int(x) if isinstance(x, bool) else x for name, x in values.items()}
        return "/?" + urlencode(values, doseq=True) if values else "/"

    @property
    def options(self) -> list[tuple[str, str]]:
        """What a search keeps of this view, as hidden fields of its form."""
        found = [("k", str(self.k))] if self.k != 10 else []
        found += [("hide_known", "1")] if self.hide_known else []
        return found + [("show", name) for name in self.show]


class Search(BaseModel):
    """The parameters of a search."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: Annotated[str, Field(max_length=MAX_TEXT, description="id of an item, or words")]
    k: Annotated[int, Field(ge=1, le=100, description="greatest number of hits")] = 10


class Question(BaseModel):
    """The parameters of a request for neighbours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Annotated[str, _ITEM]
    run: Annotated[int, Field(ge=0, description="place of the run in the command, from 0")] = 0
    by: Annotated[str, Field(max_length=100, description="model, or the name of a baseline")] = (
        "model"
    )
    k: Annotated[int, Field(ge=1, le=100, description="length of the list")] = 10
    hide_known: Annotated[bool, Field(description="leave out training pairs")] = False
