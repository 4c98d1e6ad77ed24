"""The real providers' schemas, as PyPI ships them: JavaScript and types, generated from each."""

import re
import tarfile
from functools import cache
from importlib.metadata import distributions
from typing import NamedTuple

PROVIDERS = ("aws", "azapi", "azurerm", "google", "digitalocean", "random")
CLASS = re.compile(r"^class (\w+) extends cdkt\w\.Terraform(?:Resource|DataSource|Ephem\w+) ", re.M)
# Of a nested block a function, of the resource a method: what may be set, and how it is written.
PART = re.compile(
    r"^function (\w+)ToHclTerraform\(.*?^}|^    (synthesizeHcl\w+)\(.*?^    }", re.M | re.S
)
ARGUMENT = re.compile(r'(\w+): \{\n.*\n\s+isBlock: (\w+),\n\s+type: "(\w+)",\n\s+\w+Type: "(\w+)"')
INTERFACE = re.compile(r"^export interface (\w+) .*?^}", re.M | re.S)
REQUIRED = re.compile(r"#(\w+)}\n(?:    \*.*\n)*    \*/\n    readonly \w+: ")
ATTRIBUTE = re.compile(r"^    get (\w+)\(\)", re.M)
VERSION = re.compile(r"providerVersion: '([\d.]+)'")


class Argument(NamedTuple):
    """kind: simple, list, set, map, struct. of: string, number, boolean, ..., or a part's name."""

    block: bool
    kind: str
    of: str
    required: bool


class Schema(NamedTuple):
    """What is taken (of parts, "" is the outermost), what is given, and by which version."""

    parts: dict[str, dict[str, Argument]]
    attributes: frozenset[str] = frozenset()
    version: str = ""


@cache
def read(blocks: frozenset[tuple[str, str]]) -> dict[tuple[str, str], Schema]:
    """The schema of each block, such as ("data", "aws_vpc"), that a provider has."""
    schemas: dict[tuple[str, str], Schema] = {}
    for provider in PROVIDERS:
        folders = {folder(*one): one for one in blocks if one[1].startswith(f"{provider}_")}
        # Large schemas have more files than one of a kind.
        texts: dict[str, dict[str, str]] = {one: {".js": "", ".d.ts": ""} for one in folders}
        package = next(one for one in distributions() if one.name.endswith(f"-provider-{provider}"))
        archive = next(one for one in package.files or () if one.suffix == ".tgz")
        with tarfile.open(str(archive.locate())) as members:
            for member in members if folders else ():
                place, _, file = member.name.removeprefix("package/lib/").partition("/")
                content = members.extractfile(member) if place in texts else None
                if content and file.endswith((".js", ".d.ts")):
                    texts[place][file[file.index(".") :]] += content.read().decode()
        schemas |= {folders[at]: parse(*text.values()) for at, text in texts.items() if text[".js"]}
    return schemas


def folder(kind: str, name: str) -> str:
    """Where a package keeps e.g. the resource aws_eks_cluster: eks-cluster."""
    provider, _, rest = name.partition("_")
    return ("" if kind == "resource" else f"{kind}-{provider}-") + rest.replace("_", "-")


def parse(script: str, types: str) -> Schema:
    name = CLASS.findall(script)[0]
    required = {one[1]: set(REQUIRED.findall(one[0])) for one in INTERFACE.finditer(types)}
    parts = {}
    for part in PART.finditer(script):
        of = "" if part[2] else part[1][0].upper() + part[1][1:]
        parts[of] = {
            one: Argument(block == "true", kind, kind_of, one in required[of or f"{name}Config"])
            for one, block, kind, kind_of in ARGUMENT.findall(part[0])
        }
    _, _, body = types.partition(f"class {name} ")
    return Schema(parts, frozenset(ATTRIBUTE.findall(body)), VERSION.findall(script)[0])
