"""A gateway that checks traffic against the server's own description, and says what it would refuse and why."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import httpx
from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]

_NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. Names of header fields are in lower case. A body of None was not kept."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    status: int
    reply_headers: Mapping[str, str]
    reply_body: bytes | None

    def __str__(self) -> str:
        body = (self.body or b"")[:500].decode("utf-8", "replace")
        reply = (self.reply_body or b"")[:500].decode("utf-8", "replace")
        return f"{self.method} {self.target}\n{body}\n-> {self.status} {dict(self.reply_headers)}\n{reply}"


def read_exchange(reply: httpx.Response) -> Exchange:
    """Return an exchange of httpx. It has the bodies if reading them takes nothing away from the caller."""
    request = reply.request
    try:
        body = request.content
    except httpx.RequestNotRead:
        body = None
    is_json = reply.headers.get("content-type", "").partition(";")[0].endswith("json")
    if is_json:
        reply.read()
    return Exchange(
        method=request.method,
        target=request.url.raw_path.decode(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        status=reply.status_code,
        reply_headers={name.lower(): value for name, value in reply.headers.items()},
        reply_body=reply.content if is_json else None,
    )


class Gateway:
    """Checks requests and answers against one OpenAPI document, as strictly as the document allows."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._validators: dict[int, Draft202012Validator] = {}

    def check(self, exchange: Exchange) -> None:
        """Fail if an answer is not as described, or the server accepted a request that is not."""
        faults = self.answer_faults(exchange)
        if exchange.status < 400:
            faults += self.request_faults(exchange)
        assert not faults, f"not as described: {faults}\n{exchange}"

    def request_faults(self, exchange: Exchange) -> list[str]:
        """Return the faults of a request; none for a path that is not described."""
        operation = self._operation(exchange)
        if operation is None:
            return []
        variables, description = operation
        parameters = description.get("parameters", [])
        faults = [
            fault
            for place in ("path", "query", "header")
            for fault in self._judge_parameters(exchange, parameters, place, variables)
        ]
        return faults + self._judge_body(exchange, description.get("requestBody"))

    def answer_faults(self, exchange: Exchange) -> list[str]:
        """Return the faults of an answer; none for a path that is not described."""
        if exchange.status == 405:
            return [] if exchange.reply_headers.get("allow") else ["405 without Allow"]
        operation = self._operation(exchange)
        if operation is None:
            return []
        responses = operation[1]["responses"]
        described = responses.get(str(exchange.status))
        if described is None:
            return [f"status {exchange.status} is not described"]
        described = self._resolve(described)
        return [
            *self._judge_headers(exchange, described.get("headers", {})),
            *self._judge_reply(exchange, described),
        ]

    # Finding what is described

    @cached_property
    def _templates(self) -> list[tuple[list[str], Schema]]:
        paths = self.document["paths"]
        # A path that is written out wins over one with a variable.
        return [
            (path.split("/"), paths[path]) for path in sorted(paths, key=lambda path: (path.count("{"), path))
        ]

    def _operation(self, exchange: Exchange) -> tuple[dict[str, str], Schema] | None:
        raw = "/" + exchange.target.partition("?")[0].lstrip("/")
        segments = raw.split("/")
        for template, item in self._templates:
            variables = _match(template, segments)
            if variables is not None and exchange.method.lower() in item:
                return variables, item[exchange.method.lower()]
        return None

    def _resolve(self, value: Schema) -> Schema:
        while "$ref" in value:
            found: Any = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    # Judging

    def _judge_parameters(
        self, exchange: Exchange, parameters: list[Schema], place: str, variables: Mapping[str, str]
    ) -> Iterator[str]:
        given: dict[str, list[str]] = {}
        if place == "path":
            given = {name: [value] for name, value in variables.items()}
        elif place == "header":
            given = {name: [value] for name, value in exchange.headers.items()}
        else:
            for name, value in parse_qsl(exchange.target.partition("?")[2], keep_blank_values=True):
                given.setdefault(name, []).append(value)
        for parameter in parameters:
            if parameter["in"] != place:
                continue
            name = parameter["name"].lower() if place == "header" else parameter["name"]
            if name not in given:
                if parameter["required"]:
                    yield f"{place} parameter {name} is missing"
            elif not any(
                self._fits(reading, parameter["schema"])
                for reading in _readings(given[name], parameter["schema"])
            ):
                yield f"{place} parameter {name} does not fit: {given[name]!r:.200}"

    def _judge_body(self, exchange: Exchange, described: Schema | None) -> list[str]:
        body = exchange.body
        if described is None or body is None:
            return []
        if exchange.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if not body.strip():
            return ["the body is missing"] if described["required"] else []
        media = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
        content = described["content"]
        chosen = content.get(media) or content.get("*/*")
        if chosen is None:
            return [f"a body of type {media} is not described"]
        schema = chosen["schema"]
        if schema.keys() <= {"description"}:
            return []
        try:
            if schema.get("contentMediaType") == _NDJSON:
                lines = [json.loads(line) for line in body.split(b"\n") if line.strip()]
                return self._faults(lines, schema["contentSchema"], "the body")
            return self._faults(json.loads(body), schema, "the body")
        except ValueError as error:
            return [f"the body is no JSON: {error}"]

    def _judge_headers(self, exchange: Exchange, described: Schema) -> Iterator[str]:
        for name, header in described.items():
            value = exchange.reply_headers.get(name.lower())
            if value is None:
                if header["required"]:
                    yield f"the answer lacks {name}"
            elif not any(
                self._fits(reading, header["schema"]) for reading in _readings([value], header["schema"])
            ):
                yield f"{name} of the answer is {value!r}"

    def _judge_reply(self, exchange: Exchange, described: Schema) -> list[str]:
        content = described.get("content")
        if content is None:
            return ["the answer has a body"] if exchange.reply_body else []
        media = exchange.reply_headers.get("content-type", "").partition(";")[0]
        if media not in content:
            return [f"an answer of type {media} is not described"]
        if exchange.reply_body is None or not media.endswith("json") or "schema" not in content[media]:
            return []
        return self._faults(json.loads(exchange.reply_body), content[media]["schema"], "the answer")

    def _fits(self, value: Any, schema: Schema) -> bool:
        return not self._faults(value, schema, "it")

    def _faults(self, value: Any, schema: Schema, what: str) -> list[str]:
        errors = self._validator(schema).iter_errors(value)
        return [f"{what} at {error.json_path}: {error.message:.300}" for error in errors]

    def _validator(self, schema: Schema) -> Draft202012Validator:
        if id(schema) not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[id(schema)] = Draft202012Validator(whole)
        return self._validators[id(schema)]


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    variables = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{") and segment:
            variables[wanted.strip("{}")] = unquote(segment)
        elif wanted != segment:
            return None
    return variables


def _readings(values: list[str], schema: Schema) -> Iterator[Any]:
    """Yield the values that a parameter's text may mean. Of a repeated parameter that is no list, the first counts."""
    if schema.get("type") == "array":
        yield values
        return
    yield values[0]
    if re.fullmatch(r"\s*-?[0-9]+\s*", values[0]):
        yield int(values[0])
    if values[0] in ("true", "false"):
        yield values[0] == "true"
