"""Schemas of the real providers, as PyPI ships them: JavaScript and its types, generated from each provider."""

import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

PACKAGES = {
    "aws": "cdktn-provider-aws",
    "azurerm": "cdktn-provider-azurerm",
    "google": "cdktn-provider-google",
    "digitalocean": "cdktf-cdktf-provider-digitalocean",
    "azapi": "cdktn-provider-azapi",
    "random": "cdktn-provider-random",
}
CLASS = re.compile(r"^class (\w+) extends cdkt\w\.Terraform(?:Resource|DataSource|Ephem\w+) ", re.M)
# Of a nested block a function of its own, of the resource a method: what may be set, and how it is written.
PART = re.compile(
    r"^function (\w+)ToHclTerraform\(.*?^}|^    (synthesizeHclAttributes)\(.*?^    }", re.M | re.S
)
ARGUMENT = re.compile(r'(\w+): \{\n\s+value: .*\n\s+isBlock: (\w+),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)"')
INTERFACE = re.compile(r"^export interface (\w+) .*?^}", re.M | re.S)
REQUIRED = re.compile(r"#(\w+)}\n(?:    \*.*\n)*    \*/\n    readonly \w+: ")
ATTRIBUTE = re.compile(r"^    get (\w+)\(\)", re.M)


@dataclass(frozen=True)
class Argument:
    """kind: simple, list, set, map, struct; of: string, number, boolean, ... or the name of a Part."""

    block: bool
    kind: str
    of: str
    required: bool


Part = dict[str, Argument]


@dataclass(frozen=True)
class Schema:
    """What a resource or data source takes (of parts, "" is the outermost), and what it gives."""

    parts: dict[str, Part]
    attributes: frozenset[str]


def camel(name: str) -> str:
    return re.sub(r"_+(\w)", lambda found: found[1].upper(), name)


def folder(kind: str, address: str) -> str:
    """Where the package keeps e.g. aws_eks_cluster: eks-cluster; data sources and others with a prefix."""
    provider, _, name = address.partition("_")
    prefix = {"resource": "", "data": f"data-{provider}-", "ephemeral": f"ephemeral-{provider}-"}
    return prefix[kind] + name.replace("_", "-")


def read(provider: str, folders: Iterable[str]) -> dict[str, Schema]:
    """The schemas in these folders of a provider's package; unknown ones are left out."""
    (archive,) = (one for one in files(PACKAGES[provider]) or () if one.suffix == ".tgz")
    texts: dict[str, dict[str, str]] = {one: {".js": "", ".d.ts": ""} for one in folders}
    with tarfile.open(Path(archive.locate())) as package:
        for member in package:
            # Those of a large schema have more files than one.
            one, _, file = member.name.removeprefix("package/lib/").partition("/")
            if one in texts and file.endswith((".js", ".d.ts")):
                content = package.extractfile(member)
                texts[one][file[file.index(".") :]] += content.read().decode() if content else ""
    return {one: parse(text[".js"], text[".d.ts"]) for one, text in texts.items() if text[".js"]}


def parse(script: str, types: str) -> Schema:
    main = CLASS.search(script)[1]
    required = {found[1]: set(REQUIRED.findall(found[0])) for found in INTERFACE.finditer(types)}
    parts = {}
    for part in PART.finditer(script):
        name = "" if part[2] else part[1][0].upper() + part[1][1:]
        needed = required.get(name or f"{main}Config", set())
        parts[name] = {
            argument: Argument(block == "true", kind, of, argument in needed)
            for argument, block, kind, of in ARGUMENT.findall(part[0])
        }
    _, _, body = types.partition(f"class {main} ")
    return Schema(parts, frozenset(ATTRIBUTE.findall(body)))
