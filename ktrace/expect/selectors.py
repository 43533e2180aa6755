"""What an expectation can be about besides spans: requests, webhooks, pods, and a quiet time."""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
)

from ktrace.activity.named_object import RESOURCES
from ktrace.expect.matching import matches
from runtime_observability.core.presets import milliseconds

WRITE = "write"
"""Stands for every verb that changes an object, and for no dry run."""
_VERBS = (
    "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", WRITE,
    "head", "options",
)  # fmt: skip


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _written(value: Any) -> Any:
    """A number or boolean of a program as the text that a file would have."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if (found := milliseconds(value)) is None:
        raise ValueError("is not a time: write 500ms, 20s or 1m, and 10m at most")
    return found


def _names_pods(pattern: str) -> str:
    namespace, slash, name = pattern.partition("/")
    if pattern != "*" and not (namespace and slash and name and "/" not in name):
        raise ValueError("is not NAMESPACE/NAME of pods, such as default/web-*, or * for all")
    return pattern


Text = Annotated[str, Field(min_length=1)]
Value = Annotated[str, BeforeValidator(_written)]
Pattern = Annotated[str, Field(min_length=1), BeforeValidator(_written)]
"""``*`` is any text, ``?`` one character, and every other character itself."""
PodPattern = Annotated[Text, AfterValidator(_names_pods)]
Milliseconds = Annotated[
    int, Field(gt=0), BeforeValidator(_duration), PlainSerializer(lambda value: f"{value}ms")
]
"""Written as ``500ms``, ``20s`` or ``1m``."""


class RequestSelect(Model):
    """Requests to the API server that are all of this; each is a pattern.

    ``resource`` is ``deployments.apps`` or ``deployments``, ``pods/status`` with a subresource;
    ``client`` is the first word of the user agent.
    """

    verb: Pattern = "*"
    resource: Pattern = "*"
    namespace: Pattern = "*"
    name: Pattern = "*"
    client: Pattern = "*"

    @field_validator("verb")
    @classmethod
    def _is_a_verb(cls, verb: str) -> str:
        if not any(matches(verb, known) for known in _VERBS):
            likely = difflib.get_close_matches(verb, _VERBS, 1)
            hint = f", perhaps {likely[0]}" if likely else ""
            raise ValueError(f"is no verb{hint}: the verbs are {', '.join(_VERBS)}")
        return verb

    @field_validator("resource")
    @classmethod
    def _is_as_in_requests(cls, resource: str) -> str:
        """``deployment`` and ``deploy`` would match nothing, which ``max: 0`` takes for success."""
        named, slash, subresource = resource.partition("/")
        known = RESOURCES.get(named.lower(), named.lower())
        if named not in (known, known.partition(".")[0]):
            raise ValueError(f"is no resource of a request: write {known}{slash}{subresource}")
        return resource
