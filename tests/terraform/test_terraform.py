"""The four clouds: against their providers' schemas, and what they promise alike."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.check import KINDS, Body, Document, load, named, problems
from tests.terraform.schemas import folder, read

FOLDER = Path(__file__).resolve().parents[2] / "infrastructure/terraform"
CLOUDS = ("aws", "azure", "gcp", "digitalocean")
HOLDS_DATA = {
    "aws_elasticache_replication_group",
    "azurerm_managed_redis",
    "google_redis_instance",
    "digitalocean_database_cluster",
}
# What makes a password or a key that stays valid.
LONG_LIVED = re.compile(
    r"access_key|service_account_key|application_password|spaces_key|personal_access_token|ssh_key"
)


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def document(cloud: str) -> Document:
    return load(FOLDER / cloud)


def found(cloud: str, document: Document) -> list[str]:
    return list(problems(document, FOLDER / cloud / ".terraform/modules"))


def bodies(document: Document) -> Iterator[tuple[str, str, Body]]:
    for kind in KINDS:
        for name, _, body in named(document, kind):
            yield kind, name, body


def own_lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def test_it_names_only_what_its_providers_and_modules_have(cloud: str, document: Document) -> None:
    if not (FOLDER / cloud / ".terraform/modules/modules.json").exists():
        print(f"{cloud}: inputs of modules are not checked here; `tofu init` fetches them")
    assert not found(cloud, document)


def test_a_wrong_name_is_caught_in_every_block(cloud: str, document: Document) -> None:
    wrong = copy.deepcopy(document)
    for _, _, body in bodies(wrong):
        body["no_such_argument"] = True
    said = [one for one in found(cloud, wrong) if one.endswith("there is no no_such_argument")]
    assert len(said) == len(list(bodies(wrong)))


def test_a_missing_argument_and_a_wrong_type_are_caught_in_every_block(
    cloud: str, document: Document
) -> None:
    missing, wrong = copy.deepcopy(document), copy.deepcopy(document)
    expected = []
    for (kind, name, less), (_, _, other) in zip(bodies(missing), bodies(wrong), strict=True):
        provider = name.partition("_")[0]
        part = read(provider, folders(document, provider))[folder(kind, name)].parts[""]
        for argument in [one for one in part if part[one].required and one in less]:
            expected.append(argument)
            del less[argument]
            # A list that holds a list is of no type that they require.
            other[argument] = [["wrong"]]
    said = [one.split()[-3] for one in found(cloud, missing) if one.endswith(" is missing")]
    assert sorted(said) == sorted(expected)
    assert len([one for one in found(cloud, wrong) if "[['wrong']]" in one or "block" in one]) >= (
        len(expected)
    )


def folders(document: Document, provider: str) -> frozenset[str]:
    kinds = [(kind, name) for kind, name, _ in bodies(document)]
    return frozenset(folder(*one) for one in kinds if one[1].partition("_")[0] == provider)


def test_a_name_that_nothing_declares_is_caught(cloud: str, document: Document) -> None:
    wrong = copy.deepcopy(document)
    wrong["locals"].append({"more": "${var.absent} ${local.absent} ${module.absent.x}"})
    said = "var.absent local.absent module.absent".split()
    assert {f"{one} is not declared" for one in said} <= set(found(cloud, wrong))


def test_all_clouds_take_and_give_the_same() -> None:
    for cloud in CLOUDS:
        for shared in ("variables.tf", "common.tf"):
            assert (FOLDER / cloud / shared).resolve() == FOLDER / "interface" / shared
    given = {cloud: outputs(load(FOLDER / cloud)) for cloud in CLOUDS}
    assert set(given["aws"]) >= {"kubeconfig_command", "registry", "redis_url_secret", "oidc_role"}
    assert all(set(one) == set(given["aws"]) for one in given.values())
    own = [kind for cloud in CLOUDS for kind in ("variable", "output") if defines(cloud, kind)]
    assert own == []


def outputs(document: Document) -> dict[str, Any]:
    (given,) = [block["outputs"] for block in document["locals"] if "outputs" in block]
    return dict(given)


def defines(cloud: str, kind: str) -> bool:
    text = (FOLDER / cloud / "main.tf").read_text(encoding="utf-8")
    return re.search(rf"^{kind} ", text, re.MULTILINE) is not None


def test_a_cloud_is_small(cloud: str) -> None:
    """What all share, in interface, is there once."""
    assert len(own_lines(FOLDER / cloud / "main.tf")) <= 250


def test_exceptions_of_checkov_are_few_and_have_a_reason(cloud: str) -> None:
    text = (FOLDER / cloud / "main.tf").read_text(encoding="utf-8")
    skips = re.findall(r"#checkov:skip=(\S+): \w.{20,}", text)
    assert len(skips) == text.count("checkov:skip") <= 5


def test_nothing_makes_a_credential_that_stays_valid(cloud: str, document: Document) -> None:
    assert [name for _, name, _ in bodies(document) if LONG_LIVED.search(name)] == []
    text = (FOLDER / cloud / "main.tf").read_text(encoding="utf-8")
    assert not re.search(r"admin_enabled\s*=\s*true|(token|secret_key|password)\s*=\s*\"", text)


def test_github_actions_of_this_repository_alone_get_an_identity() -> None:
    """No pattern: a token's subject is one of three."""
    (shared,) = [one for one in load(FOLDER / "interface")["locals"] if "subjects" in one]
    start = '"repo:${var.github_repository}:'
    assert shared["subjects"] == {
        "plan": start + 'environment:${var.environment}-plan"',
        "apply": start + 'environment:${var.environment}"',
        "main": start + 'ref:refs/heads/main"',
    }
    for cloud in ("aws", "azure", "gcp"):
        text = (FOLDER / cloud / "main.tf").read_text(encoding="utf-8")
        assert "local.subjects" in text and "wildcard" not in text
        assert not re.search(r'repo:[^"]*\*', text)


def test_data_is_protected_and_the_state_is_elsewhere(document: Document) -> None:
    (redis,) = [body for _, name, body in bodies(document) if name in HOLDS_DATA]
    assert redis["lifecycle"][0]["prevent_destroy"] is True
    (backend,) = document["terraform"][0]["backend"]
    ((kind, settings),) = backend.items()
    # azurerm and gcs lock by themselves.
    assert kind.strip('"') in {"azurerm", "gcs"} or settings["use_lockfile"] is True


def test_providers_and_modules_are_pinned(document: Document) -> None:
    for provider in document["terraform"][0]["required_providers"][0].values():
        if isinstance(provider, dict):
            assert re.fullmatch(r'"\d+\.\d+\.\d+"', provider["version"])
    for _, body in named(document, "module"):
        assert re.fullmatch(r'"git::https://github.com/\S+\?ref=[0-9a-f]{40}"', body["source"])


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_each_size_has_its_items_and_each_price_a_source(cloud: str, size: str) -> None:
    prices = json.loads((FOLDER / cloud / "prices.json").read_text(encoding="utf-8"))
    assert set(prices["needed"][size]) <= set(prices["usd_a_month"])
    known = [price for price in prices["usd_a_month"].values() if price is not None]
    assert "https://" in prices["source"] and (not known or re.match(r"20\d\d-", prices["read"]))


def test_a_single_host_has_three_values_to_replace_and_no_password() -> None:
    text = (FOLDER / "host/user-data").read_text(encoding="utf-8")
    own = re.sub(r"^ *#.*$|HTTPS?_PORT|TRUSTED_HOSTS", "", text, flags=re.MULTILINE)
    assert text.startswith("#cloud-config\n")
    assert re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)?\b", own) == ["PUBLIC_KEY", "DOMAIN", "REPOSITORY"]
    assert "lock_passwd: true" in text and "ssh_pwauth: false" in text
    assert "plain_text_passwd" not in text and "hashed_passwd" not in text
