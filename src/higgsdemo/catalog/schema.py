"""The YAML form of a sample set: which keys there are, and errors with path and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from higgsdemo.errors import UsageError, nearest
from higgsdemo.model.sample import Group

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in
_SHOWN = 5  # errors shown at once

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Luminosity = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[
    list[str], BeforeValidator(lambda value: [value] if type(value) is str else value)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """One file: ``url`` is a path, a glob or a URL, `replicas` are copies of it elsewhere.

    `name` is its logical name where the place of a copy does not say it; `luminosity_pb` in pb^-1.
    """

    url: str = Field(min_length=1)
    name: str | None = Field(default=None, min_length=1)
    size_bytes: int | None = Field(default=None, ge=0)
    luminosity_pb: Luminosity | None = None
    checksum: str | None = Field(default=None, pattern=r"^(adler32|crc32c|md5):[0-9a-f]+$")
    replicas: Words = []


class SampleEntry(_Strict):
    """One sample; the fields of `higgsdemo.model.Sample`, and where its files are listed.

    `luminosity` names a JSON table of ub^-1 per file; `index` names file indexes.
    """

    name: str = Field(min_length=1, pattern=r"^[^/\s]+$")
    group: Group
    year: int | None = Field(default=None, ge=2000, le=2100)
    sqrt_s_tev: Positive | None = None
    format: Literal["nanoaod", "aod"] = "nanoaod"
    channels: Annotated[list[Literal["4mu", "4e", "2mu2e"]], Field(min_length=1)] | None = None
    dataset: str | None = None
    record: int | None = Field(default=None, gt=0)
    cross_section_pb: Positive | None = None
    scale_factor: Positive = 1.0
    generated_events: int | None = Field(default=None, gt=0)
    skimmed: bool = False
    normalise_with: str | None = Field(default=None, min_length=1)
    luminosity_pb: Luminosity | None = None
    luminosity: str | None = None
    files: list[
        Annotated[
            FileEntry,
            BeforeValidator(lambda value: {"url": value} if type(value) is str else value),
        ]
    ] = []
    index: Words = []
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _skim_of_what(self) -> SampleEntry:
        if self.skimmed and self.generated_events is None:
            raise PydanticCustomError(
                "skim", "a skimmed sample needs generated_events: what it is a selection of"
            )
        return self

    @model_validator(mode="after")
    def _one_kind(self) -> SampleEntry:
        simulated = ("cross_section_pb", "generated_events", "normalise_with")
        recorded = ("luminosity_pb", "luminosity")
        given = {key for key in (*simulated, *recorded) if getattr(self, key) is not None}
        if any(file.luminosity_pb is not None for file in self.files):
            given.add("luminosity_pb")
        for key in simulated if self.group == "data" else recorded:
            if key in given:
                owner = "simulated samples" if self.group == "data" else "data"
                raise PydanticCustomError(
                    "kind", "{key} belongs to {owner}, and this sample is of group {group}",
                    {"key": key, "owner": owner, "group": self.group},
                )  # fmt: skip
        return self


class PublishedEntry(SampleEntry):
    """A sample of a built-in set, with what is published about it besides."""

    name_2019: str | None = None  # its name in the KubeCon 2019 demo
    rootfile_2017: str | None = None  # its histogram file in the 2017 example
    published_files: int | None = None


class SetEntry(_Strict):
    """A sample set."""

    name: str | None = Field(default=None, min_length=1)
    title: str = ""
    description: str = ""
    demo: bool = False  # made by `higgsdemo generate`: SIMULATED DEMO DATA
    samples: list[SampleEntry] = Field(min_length=1)


class PublishedSet(SetEntry):
    """A built-in sample set. `notes` is where its YAML anchors its sources."""

    notes: dict[str, str] = {}
    samples: list[PublishedEntry] = Field(min_length=1)  # type: ignore[assignment]


Entry = TypeVar("Entry", bound=SetEntry)


def read_yaml(path: Path, kind: type[Entry]) -> Entry:
    """Read a sample set; UsageError with path and line for whatever is not right."""
    try:
        loader = _Loader(path.read_bytes())
    except OSError as error:
        raise UsageError(
            "cannot read the sample set", why=error.strerror or str(error), where=str(path)
        ) from error
    except yaml.YAMLError as error:  # an encoding it does not know
        raise _not_yaml(path, error) from error
    try:
        root = loader.get_single_node()
        _refuse_repeated_keys(path, root)
        document = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        raise _not_yaml(path, error) from error
    finally:
        loader.dispose()
    try:
        return kind.model_validate({} if document is None else document)
    except ValidationError as error:
        raise _refusal(path, root, kind, error.errors(include_url=False)) from error


def _not_yaml(path: Path, error: Exception) -> UsageError:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return UsageError("not YAML", why=getattr(error, "problem", None) or str(error), where=where)


def _refuse_repeated_keys(path: Path, root: yaml.Node | None) -> None:
    """YAML takes the last of two equal keys without a word: a sample or number would be lost."""
    nodes = [root]
    visited: set[int] = set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            lines: dict[Any, int] = {}
            for key, value in node.value:
                nodes.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise UsageError(
                        f"the key {key.value!r} is there twice",
                        where=f"{path}:{lines[key.value]} and line {line}",
                    )
                lines[key.value] = line


def _refusal(
    path: Path, root: yaml.Node | None, kind: type[SetEntry], errors: Sequence[ErrorDetails]
) -> UsageError:
    # A misspelt key comes before the key that is missing because of it.
    errors = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
    told = [(_line(root, error["loc"]), _words(error)) for error in errors]
    why = [f"line {line}: {words}" for line, words in told[:_SHOWN]]
    if len(told) > _SHOWN:
        why.append(f"and {len(told) - _SHOWN} more")
    guesses = [
        guess
        for error in errors
        if error["type"] == "extra_forbidden"
        for guess in nearest(str(error["loc"][-1]), _keys(kind, error["loc"]))
    ]
    return UsageError(
        "the sample set is not right",
        why="; ".join(why),
        where=f"{path}:{told[0][0]}",
        nearest=dict.fromkeys(guesses),
        hint="docs/samples.md lists the keys",
    )


def _keys(kind: type[SetEntry], loc: Sequence[int | str]) -> Mapping[str, Any]:
    """Return the keys that are known at the place of an unknown one."""
    if "files" in loc[:-1]:
        return FileEntry.model_fields
    if "samples" in loc[:-1]:
        return PublishedEntry.model_fields if kind is PublishedSet else SampleEntry.model_fields
    return kind.model_fields


def _words(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    if error["type"] == "missing":
        return f"{place}: missing"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{place or 'the file'}: keys with values are wanted here"
    said = error["msg"].removeprefix("Input ").replace("should be", "must be")
    given = error["input"]
    told = f", not {given!r}" if isinstance(given, str | int | float) else ""
    return f"{place}: {said}{told}"


def _line(root: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """Return the line of the deepest part of `loc` that is in the document."""
    node = root
    line = 1 if root is None else root.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == str(part)]
            if not pairs:
                break
            line = pairs[0][0].start_mark.line + 1
            node = pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
