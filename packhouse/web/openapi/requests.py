"""The schemas of requests: parameters of the query, and bodies.

The server ignores unknown members and parameters, so these schemas are open. An old name stands beside its new one and
is deprecated. Where the new name is required, either name will do.
"""

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any, Final

import msgspec

from packhouse.web.json import DEFAULT_KEY, NOT_BLANK, needs
from packhouse.web.openapi.headers import IDEMPOTENCY_KEY
from packhouse.web.routing.dialects import REQUEST_ALIASES, Aliases, BranchMember
from packhouse.web.routing.route import Route

Schema = dict[str, Any]

REF_TEMPLATE: Final = "#/components/schemas/{name}"
NDJSON: Final = "application/x-ndjson"
ANY_MEDIA: Final = "*/*"

_WORDS_OF_BOOLEANS: Final = r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])?\s*$"
_ABSENT: Final = (None, "", 0)
_NO_ALIASES: Final[Aliases] = {}


def path_parameters(path: str) -> list[Schema]:
    """Return the variables of a path. A value is one segment, percent-encoded once."""
    names = [segment.strip("{}") for segment in path.split("/") if segment.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_VARIABLES.get(name, _PATH_TEXT)}
        for name in names
    ]


_PATH_TEXT: Final = {"type": "string", "minLength": 1}
_PATH_VARIABLES: Final[Mapping[str, Schema]] = {
    "repository_id": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
}


def query_parameters(kind: type[msgspec.Struct], route_name: str) -> list[Schema]:
    """Return the parameters that a query struct describes, each old name behind its new one."""
    schema = _struct_schema(kind)
    aliases = REQUEST_ALIASES.get(route_name, _NO_ALIASES)
    parameters: list[Schema] = []
    for name, raw in schema["properties"].items():
        member = _as_word(_tidy(raw))
        description = member.pop("description", "")
        old_names = [str(old) for old in aliases.get(name, ())]
        needed = name in schema.get("required", ())
        if needed and not old_names:
            _refuse_blank(member)
        elif needed:
            description += f" Required, unless {_either(old_names)} is given."
        parameters.append(_parameter(name, member, description.strip(), required=needed and not old_names))
        parameters.extend(
            {**_parameter(old, member, f"Old name of `{name}`.", required=False), "deprecated": True}
            for old in old_names
        )
    return parameters


def _parameter(name: str, schema: Schema, description: str, *, required: bool) -> Schema:
    parameter: Schema = {"name": name, "in": "query", "required": required, "schema": schema}
    if description:
        parameter["description"] = description
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": True}
    return parameter


def _either(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _as_word(member: Schema) -> Schema:
    """Return the schema of a parameter. Booleans are words there, and a blank one is absent."""
    if member.get("type") != "boolean":
        return member
    words = [{"type": "boolean"}, {"type": "string", "pattern": _WORDS_OF_BOOLEANS}]
    return {**{key: value for key, value in member.items() if key != "type"}, "anyOf": words}


def header_parameters(route: Route) -> list[Schema]:
    """Return the header fields of a request, all of them optional."""
    return [
        {
            "name": header.name,
            "in": "header",
            "required": header.required,
            "description": header.description,
            "schema": dict(header.schema),
        }
        for header in (
            *route.description.request_headers,
            *((IDEMPOTENCY_KEY,) if route.writes.takes_key else ()),
        )
    ]


class BodySchemas:
    """The schemas of all bodies, collected as components while they are made for each route."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def request_body(self, route: Route, kind: type[msgspec.Struct]) -> Schema:
        """Return the description of a route's body. The server takes any content type for the expected one."""
        described = route.description
        schema = self._add(kind, REQUEST_ALIASES.get(route.name, _NO_ALIASES), described.body_rules)
        required = not _takes_nothing(self.components[kind.__name__])
        if described.body_member:
            members = {described.body_member: schema}
            schema = {"type": "object", "required": [described.body_member], "properties": members}
            required = True
        named = described.body_media.split(", ")
        by_media = dict.fromkeys(named, schema)
        if NDJSON in named:
            lines = None if described.body_lines is None else self._add(described.body_lines, _NO_ALIASES, ())
            by_media[NDJSON] = _lines(schema, lines)
        by_media[ANY_MEDIA] = (
            by_media[named[0]] if len(named) == 1 else {"description": f"One of {described.body_media}."}
        )
        return {
            "required": required,
            "content": {media: {"schema": value} for media, value in by_media.items()},
        }

    def _add(
        self, kind: type[msgspec.Struct], aliases: Aliases, rules: Iterable[Mapping[str, Any]]
    ) -> Schema:
        _, made = msgspec.json.schema_components([kind], ref_template=REF_TEMPLATE)
        for name, schema in made.items():
            is_top = name == kind.__name__
            component = _open(schema, aliases if is_top else _NO_ALIASES, rules if is_top else ())
            known = self.components.setdefault(name, component)
            assert known == component, f"{name} would be two different things"
        return {"$ref": REF_TEMPLATE.format(name=kind.__name__)}


def _lines(first: Schema, further: Schema | None) -> Schema:
    """Return the schema of text in lines. OpenAPI 3.1 has no more for it than an annotation."""
    lines: Schema = {"type": "array", "minItems": 1, "prefixItems": [first]}
    description = (
        "Lines of JSON. The first is as the first item of `contentSchema`; further ones are ignored."
    )
    if further is not None:
        lines["items"] = further
        description = (
            "Lines of JSON: the first as the first item of `contentSchema`, each further one as `items`."
        )
    return {"type": "string", "description": description, "contentMediaType": NDJSON, "contentSchema": lines}


def _takes_nothing(schema: Mapping[str, Any]) -> bool:
    """Tell whether the schema takes an object without members. Then it also takes an empty body."""
    return (
        not schema.get("required")
        and all(_takes_nothing(part) for part in schema.get("allOf", ()))
        and ("anyOf" not in schema or any(_takes_nothing(part) for part in schema["anyOf"]))
        and ("not" not in schema or not _takes_nothing(schema["not"]))
    )


def _open(schema: Schema, aliases: Aliases, rules: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the schema of a request's object: null and blank text count as absent, old names are accepted."""
    members: dict[str, Schema] = {}
    required = []
    demands = [dict(rule) for rule in rules]
    for name, raw in schema["properties"].items():
        member = _tidy(raw)
        old_names = aliases.get(name, ())
        needed = name in schema.get("required", ())
        if needed and not old_names:
            required.append(name)
            members[name] = _refuse_blank(member)
            continue
        if needed:
            demands.append(_one_of_names(name, *old_names))
        members[name] = _or_null(member)
        for old in old_names:
            description = f"Old name of `{name}`."
            members[str(old)] = {**members[name], "description": description, "deprecated": True}
    opened = {**schema, "description": cleandoc(schema["description"]), "properties": members}
    opened.pop("required", None)
    if required:
        opened["required"] = required
    if demands:
        opened["allOf"] = demands
    return opened


def _one_of_names(*names: str) -> Schema:
    """Return the rule for a required member that has old names. Some old names take branches only."""
    rule = needs(*map(str, names))
    for name, choice in zip(names, rule["anyOf"], strict=True):
        if isinstance(name, BranchMember):
            is_branch = [{"pattern": r"^\s*refs/heads/"}, {"not": {"pattern": r"^\s*refs/"}}]
            choice["properties"][str(name)]["anyOf"] = is_branch
    return rule


def _struct_schema(kind: type[msgspec.Struct]) -> Schema:
    _, made = msgspec.json.schema_components([kind], ref_template=REF_TEMPLATE)
    schema: Schema = made[kind.__name__]
    return schema


def _tidy(member: Schema) -> Schema:
    """Return the schema without null. Blank and empty defaults are removed, and DEFAULT_KEY becomes the default."""
    choices = [choice for choice in member.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        member = {**{key: value for key, value in member.items() if key != "anyOf"}, **choices[0]}
    tidied = dict(member)
    if tidied.get("type") != "boolean" and tidied.get("default") in (*_ABSENT, [], {}):
        tidied.pop("default", None)
    if DEFAULT_KEY in tidied:
        tidied["default"] = tidied.pop(DEFAULT_KEY)
    return tidied


def _or_null(member: Schema) -> Schema:
    if not member or member.get("type") == "null":
        return member
    if isinstance(member.get("type"), str) and not {"enum", "const"} & member.keys():
        return {**member, "type": [member["type"], "null"]}
    outside: Schema = {key: member[key] for key in ("description", "default", "deprecated") if key in member}
    inside = {key: value for key, value in member.items() if key not in outside}
    return {**outside, "anyOf": [inside, {"type": "null"}]}


def _refuse_blank(member: Schema) -> Schema:
    """Let the schema refuse blank text, which counts as absent, unless the schema has a least length of its own."""
    if member.get("type") == "string" and not {"pattern", "minLength"} & member.keys():
        member["pattern"] = NOT_BLANK
    return member
