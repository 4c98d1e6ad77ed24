"""The real providers' schemas, as PyPI ships them: JavaScript and types, generated from each."""

import re
import tarfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from pathlib import Path

PACKAGES = {
    "aws": "cdktn-provider-aws",
    "azapi": "cdktn-provider-azapi",
    "azurerm": "cdktn-provider-azurerm",
    "google": "cdktn-provider-google",
    "digitalocean": "cdktf-cdktf-provider-digitalocean",
    "random": "cdktn-provider-random",
}
CLASS = re.compile(r"^class (\w+) extends cdkt\w\.Terraform(?:Resource|DataSource|Ephem\w+) ", re.M)
# Of a nested block a function, of the resource a method: what may be set, and how it is written.
PART = re.compile(
    r"^function (\w+)ToHclTerraform\(.*?^}|^    (synthesizeHclAttributes)\(.*?^    }", re.M | re.S
)
ARGUMENT = re.compile(
    r'(\w+): \{\n.*\n\s+isBlock: (\w+),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)"'
)
INTERFACE = re.compile(r"^export interface (\w+) .*?^}", re.M | re.S)
REQUIRED = re.compile(r"#(\w+)}\n(?:    \*.*\n)*    \*/\n    readonly \w+: ")
ATTRIBUTE = re.compile(r"^    get (\w+)\(\)", re.M)
VERSION = re.compile(r"providerVersion: '([\d.]+)'")


@dataclass(frozen=True)
class Argument:
    """kind: simple, list, set, map, struct. of: string, number, boolean, ..., or a part's name."""

    block: bool
    kind: str
    of: str
    required: bool


@dataclass(frozen=True)
class Schema:
    """What is taken (of parts, "" is the outermost), what is given, and by which version."""

    parts: dict[str, dict[str, Argument]]
    attributes: frozenset[str]
    version: str

    def part_of(self, argument: Argument) -> dict[str, Argument] | None:
        return self.parts.get(argument.of, self.parts.get(re.sub("(List|Map)$", "", argument.of)))


def folder(kind: str, name: str) -> str:
    """Where a package keeps e.g. the resource aws_eks_cluster: eks-cluster."""
    provider, _, rest = name.partition("_")
    return ("" if kind == "resource" else f"{kind}-{provider}-") + rest.replace("_", "-")


@cache
def read(provider: str, folders: frozenset[str]) -> dict[str, Schema]:
    """The schemas in these folders of a provider's package; unknown ones are left out."""
    archive = next(one for one in files(PACKAGES[provider]) or () if one.suffix == ".tgz")
    texts: dict[str, dict[str, str]] = {one: {".js": "", ".d.ts": ""} for one in folders}
    with tarfile.open(Path(str(archive.locate()))) as package:
        for member in package:
            # Those of a large schema have more files than one.
            one, _, file = member.name.removeprefix("package/lib/").partition("/")
            if one in texts and file.endswith((".js", ".d.ts")):
                content = package.extractfile(member)
                texts[one][file[file.index(".") :]] += content.read().decode() if content else ""
    return {one: parse(text[".js"], text[".d.ts"]) for one, text in texts.items() if text[".js"]}


def parse(script: str, types: str) -> Schema:
    name = CLASS.findall(script)[0]
    required = {one[1]: set(REQUIRED.findall(one[0])) for one in INTERFACE.finditer(types)}
    parts = {}
    for part in PART.finditer(script):
        of = "" if part[2] else part[1][0].upper() + part[1][1:]
        parts[of] = {
            one[0]: Argument(
                one[1] == "true", one[2], one[3], one[0] in required[of or f"{name}Config"]
            )
            for one in ARGUMENT.findall(part[0])
        }
    _, _, body = types.partition(f"class {name} ")
    return Schema(parts, frozenset(ATTRIBUTE.findall(body)), VERSION.findall(script)[0])
