"""Does HCL name only what its providers and modules have, with all that they require?"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
from tests.terraform.schemas import PACKAGES, Argument, Schema, folder, read

KINDS = ("resource", "data", "ephemeral")
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "source"}
REFERENCE = re.compile(
    rf"(data\.|ephemeral\.)?\b((?:{'|'.join(PACKAGES)})_\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?"
)
OPTIONS = hcl2.SerializationOptions(with_comments=False)
Body = dict[str, Any]
Document = dict[str, list[Body]]


def load(place: Path) -> Document:
    """All *.tf files of a folder as one."""
    document: Document = defaultdict(list)
    for file in sorted(place.glob("*.tf")):
        text = file.read_text(encoding="utf-8")
        for kind, blocks in hcl2.loads(text, serialization_options=OPTIONS).items():
            document[kind] += blocks
    return document


def named(document: Document, kind: str) -> Iterator[Any]:
    """Labels and body of each block of a kind; hcl2 leaves the labels' quotes on."""
    for block in document[kind]:
        ((label, body),) = block.items()
        if kind in KINDS:
            ((name, body),) = body.items()
            yield label.strip('"'), name.strip('"'), body
        else:
            yield label.strip('"'), body


def problems(document: Document, modules: Path) -> Iterator[str]:
    """
    Args:
        modules: where `tofu init` puts them; if they are not there, their inputs are not checked.
    """
    found = [(kind, *one) for kind in KINDS for one in named(document, kind)]
    wanted = defaultdict(set)
    for kind, name, *_ in found:
        wanted[name.partition("_")[0]].add(folder(kind, name))
    schemas = {}
    for kind, name, label, body in found:
        provider = name.partition("_")[0]
        schema = read(provider, frozenset(wanted[provider])).get(folder(kind, name))
        if schema is None:
            yield f"{kind} {name}: there is none"
            continue
        schemas[kind, name, label] = schema
        yield from check_part(f"{kind} {name}.{label}", schema, schema.parts[""], body)
        pin = document["terraform"][0]["required_providers"][0][provider]["version"]
        if pin.strip('"') != schema.version:
            yield f"{provider}: {pin} is pinned, the schema is of {schema.version}"
    if (modules / "modules.json").exists():
        for label, body in named(document, "module"):
            yield from check_module(f"module {label}", modules, label, body)
    yield from references(document, schemas)


def check_part(where: str, schema: Schema, part: dict[str, Argument], body: Body) -> Iterator[str]:
    given = {name: value for name, value in body.items() if not name.startswith("__")}
    for one in given.pop("dynamic", []):
        for label, block in one.items():
            given.setdefault(label.strip('"'), []).extend(block["content"])
    for name in part:
        if part[name].required and name not in given:
            yield f"{where}: {name} is missing"
    for name, value in given.items():
        argument = part.get(name)
        if argument is None:
            if name not in META:
                yield f"{where}: there is no {name}"
        # Of what is there once (struct), the schemas do not tell blocks from attributes.
        elif argument.kind != "struct" and argument.block != ("__is_block__" in str(value)):
            yield f"{where}: {name} is {'a block' if argument.block else 'not a block'}"
        elif nested := schema.part_of(argument):
            for one in value if isinstance(value, list) else [value]:
                yield from check_part(f"{where}.{name}", schema, nested, one)
        elif not fits(argument.kind, argument.of, value):
            yield f"{where}: {name} is {argument.kind} of {argument.of}, not {value}"


def fits(kind: str, of: str, value: Any) -> bool:
    """Whether Terraform converts the literal to the type; an expression is taken for right."""
    if str(value).startswith("${") or of == "any":
        return True
    if kind in {"list", "set"}:
        of = of.removesuffix("List")
        return isinstance(value, list) and all(fits("simple", of, one) for one in value)
    if kind == "map" or isinstance(value, list | dict):
        return kind == "map" and isinstance(value, dict)
    text = str(value).strip('"').lower()
    form = {"number": r"-?[\d.]+", "boolean": "true|false"}.get(of, ".*")
    return "${" in text or re.fullmatch(form, text, re.DOTALL) is not None


def check_module(where: str, modules: Path, label: str, body: Body) -> Iterator[str]:
    entries = json.loads((modules / "modules.json").read_text(encoding="utf-8"))["Modules"]
    (place,) = [modules.parents[1] / one["Dir"] for one in entries if one["Key"] == label]
    variables = inputs(place)
    for name, variable in variables.items():
        if "default" not in variable and name not in body:
            yield f"{where}: {name} is missing"
    for name in set(body) - META - {"__is_block__"}:
        if name not in variables:
            yield f"{where}: there is no {name}"
            continue
        kind, _, of = variables[name]["type"].strip("${}) ").partition("(")
        of = of if of in {"string", "number", "bool"} else "any"
        kind, of = {"object": ("map", of)}.get(kind, (kind, of) if of else ("simple", kind))
        if not fits(kind, of.replace("bool", "boolean"), body[name]):
            yield f"{where}: {name} is {kind} of {of}, not {body[name]}"


@cache
def inputs(module: Path) -> dict[str, Body]:
    return dict(named(load(module), "variable"))


def references(document: Document, schemas: dict[Any, Schema]) -> Iterator[str]:
    """What expressions name and nothing declares."""
    text = json.dumps(document)
    declared = {f"var.{name}" for name, _ in named(document, "variable")}
    declared |= {f"local.{name}" for block in document["locals"] for name in block}
    declared |= {f"module.{name}" for name, _ in named(document, "module")}
    for one in sorted(set(re.findall(r"\b(?:var|local|module)\.[a-z]\w*", text)) - declared):
        yield f"{one} is not declared"
    for prefix, name, label, attribute in sorted(set(REFERENCE.findall(text))):
        schema = schemas.get((prefix.rstrip(".") or "resource", name, label))
        camel = re.sub(r"_+(\w)", lambda found: found[1].upper(), attribute)
        if schema is None or (attribute and camel not in schema.attributes):
            yield f"{prefix}{name}.{label} or its {attribute} is not declared"
