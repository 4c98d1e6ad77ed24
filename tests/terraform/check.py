"""Does HCL name only what its providers and modules have, with all that they require?"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
from tests.terraform.schemas import PROVIDERS, Argument, Schema, read

KINDS = ("resource", "data", "ephemeral")
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "source"}
REFERENCE = re.compile(
    rf"(data\.|ephemeral\.)?\b((?:{'|'.join(PROVIDERS)})_\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?"
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


def named(blocks: list[Body]) -> Iterator[tuple[str, Body]]:
    """Label and body of each; hcl2 leaves the label's quotes on."""
    for block in blocks:
        ((label, body),) = block.items()
        yield label.strip('"'), body


def objects(document: Document) -> Iterator[tuple[str, str, str, Body]]:
    """Kind, type, label and body of all that a provider knows."""
    for kind in KINDS:
        for name, inner in named(document[kind]):
            for label, body in named([inner]):
                yield kind, name, label, body


def problems(document: Document, modules: Path) -> Iterator[str]:
    """The inputs of modules are checked where `tofu init` has put these."""
    schemas = read(frozenset(one[:2] for one in objects(document)))
    for kind, name, label, body in objects(document):
        where, schema = f"{kind} {name}.{label}", schemas.get((kind, name))
        yield from check(where, schema, "", body) if schema else [f"{where}: there is none"]
    if (modules / "modules.json").exists():
        for label, body in named(document["module"]):
            yield from check(f"module {label}", inputs(modules, label), "", body)
    yield from references(document, schemas)


def check(where: str, schema: Schema, part: str, body: Body) -> Iterator[str]:
    given = {name: value for name, value in body.items() if not name.startswith("__")}
    for label, block in [pair for one in given.pop("dynamic", []) for pair in named([one])]:
        given.setdefault(label, []).extend(block["content"])
    taken = schema.parts[part]
    for name in {name for name in taken if taken[name].required} - given.keys():
        yield f"{where}: {name} is missing"
    for name in given.keys() - taken.keys() - META:
        yield f"{where}: there is no {name}"
    for name in given.keys() & taken.keys():
        (is_block, kind, of, _), value = taken[name], given[name]
        nested = [one for one in (of, re.sub("(List|Map)$", "", of)) if one in schema.parts]
        # Of what is there once (struct), the schemas do not tell blocks from attributes.
        if kind != "struct" and is_block != ("__is_block__" in str(value)):
            yield f"{where}: {name} is {'a block' if is_block else 'not a block'}"
        elif nested:
            for one in value if isinstance(value, list) else [value]:
                yield from check(f"{where}.{name}", schema, nested[0], one)
        elif not fits(kind, of, value):
            yield f"{where}: {name} is {kind} of {of}, not {value}"


def fits(kind: str, of: str, value: Any) -> bool:
    """Whether Terraform converts the literal to the type; an expression is taken for right."""
    if str(value).startswith("${") or of == "any":
        return True
    if kind in {"list", "set"}:
        of = of.removesuffix("List")
        return isinstance(value, list) and all(fits("simple", of, one) for one in value)
    if kind in {"map", "object"} or isinstance(value, list | dict):
        return kind in {"map", "object"} and isinstance(value, dict)
    form = {"number": r"-?[\d.]+", "boolean": "true|false", "bool": "true|false"}.get(of, ".*")
    return (
        "${" in str(value)
        or re.fullmatch(form, str(value).strip('"').lower(), re.DOTALL) is not None
    )


def inputs(modules: Path, label: str) -> Schema:
    """The variables of a module, as if it were a provider's resource."""
    entries = json.loads((modules / "modules.json").read_text(encoding="utf-8"))["Modules"]
    (place,) = [modules.parents[1] / one["Dir"] for one in entries if one["Key"] == label]
    part = {}
    for name, variable in named(load(place)["variable"]):
        kind, _, of = variable.get("type", "any").strip("${}) ").partition("(")
        kind, of = (kind, of) if of else ("simple", kind)
        of = of if of in {"string", "number", "bool"} else "any"
        part[name] = Argument(False, kind, of, required="default" not in variable)
    return Schema({"": part})


def references(document: Document, schemas: dict[tuple[str, str], Schema]) -> Iterator[str]:
    """What expressions name and nothing declares."""
    text = json.dumps(document)
    declared = {f"local.{name}" for block in document["locals"] for name in block}
    declared |= {f"var.{name}" for name, _ in named(document["variable"])}
    declared |= {f"module.{name}" for name, _ in named(document["module"])}
    for one in sorted(set(re.findall(r"\b(?:var|local|module)\.[a-z]\w*", text)) - declared):
        yield f"{one} is not declared"
    there = {one[:3]: schemas.get(one[:2]) for one in objects(document)}
    for prefix, name, label, attribute in sorted(set(REFERENCE.findall(text))):
        schema = there.get((prefix.rstrip(".") or "resource", name, label))
        camel = re.sub(r"_+(\w)", lambda found: found[1].upper(), attribute)
        if schema is None or (attribute and camel not in schema.attributes):
            yield f"{prefix}{name}.{label} or its {attribute} is not declared"
