"""The four clouds: against their providers' schemas, and what they promise alike."""

import copy
import json
import re
from pathlib import Path

import hcl2
import pytest

from tests.terraform.check import OPTIONS, Document, load, named, objects, problems
from tests.terraform.schemas import read

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


def test_it_names_only_what_its_providers_and_modules_have(cloud: str, document: Document) -> None:
    without = not (FOLDER / cloud / ".terraform/modules/modules.json").exists()
    if without and "module" in document:
        print(f"{cloud}: inputs of modules are not checked here; `tofu init` fetches them")
    assert not found(cloud, document)


def test_a_wrong_name_is_caught_in_every_block(cloud: str, document: Document) -> None:
    wrong = copy.deepcopy(document)
    for *_, body in objects(wrong):
        body["no_such_argument"] = True
    said = [one for one in found(cloud, wrong) if one.endswith("there is no no_such_argument")]
    assert len(said) == len(list(objects(wrong)))


def test_a_missing_argument_and_a_wrong_type_are_caught_in_every_block(
    cloud: str, document: Document
) -> None:
    missing, wrong = copy.deepcopy(document), copy.deepcopy(document)
    schemas = read(frozenset(one[:2] for one in objects(document)))
    expected = []
    for (kind, name, _, less), (*_, other) in zip(objects(missing), objects(wrong), strict=True):
        part = schemas[kind, name].parts[""]
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


def test_a_module_is_held_to_its_variables(document: Document, tmp_path: Path) -> None:
    modules = tmp_path / ".terraform/modules"
    (modules / "it").mkdir(parents=True)
    (modules / "modules.json").write_text(
        '{"Modules": [{"Key": "it", "Dir": ".terraform/modules/it"}]}'
    )
    (modules / "it/variables.tf").write_text(
        'variable "size" {\n  type = number\n}\nvariable "name" {\n  type = string\n}\n'
    )
    wrong = copy.deepcopy(document) | {"module": [{'"it"': {"size": '"big"', "more": "1"}}]}
    said = [one for one in problems(wrong, modules) if one.startswith("module it: ")]
    assert [one.removeprefix("module it: ") for one in sorted(said)] == [
        "name is missing",
        'size is simple of number, not "big"',
        "there is no more",
    ]


def test_a_name_that_nothing_declares_is_caught(cloud: str, document: Document) -> None:
    wrong = copy.deepcopy(document)
    wrong["locals"].append({"more": "${var.absent} ${local.absent} ${module.absent.x}"})
    said = "var.absent local.absent module.absent".split()
    assert {f"{one} is not declared" for one in said} <= set(found(cloud, wrong))


def test_all_clouds_take_and_give_the_same() -> None:
    given = {}
    for cloud in CLOUDS:
        document = load(FOLDER / cloud)
        given[cloud] = {kind: dict(named(document[kind])).keys() for kind in ("variable", "output")}
        for shared in ("variables.tf", "common.tf", "common.yaml.tftpl"):
            assert (FOLDER / cloud / shared).resolve() == FOLDER / "interface" / shared
    assert all(one == given["aws"] for one in given.values())
    assert given["aws"]["output"] >= {"kubeconfig_command", "registry", "oidc_role"}


def test_the_example_is_one_that_is_taken() -> None:
    """plan.tftest.hcl of DigitalOcean has those that are refused."""
    (forms,) = [one for one in load(FOLDER / "interface")["locals"] if "form" in one]
    text = (FOLDER / "example.tfvars").read_text(encoding="utf-8")
    example = hcl2.loads(text, serialization_options=OPTIONS)
    names = ("name", "environment", "size", "domain", "github_repository")
    given = [example[name] for name in names] + example["api_access"]["networks"]
    assert re.search(json.loads(forms["form"]), " ".join(json.loads(one) for one in given))


def test_a_cloud_is_small(cloud: str) -> None:
    """Without blank lines and comments. What all clouds share counts for each of them."""
    text = "".join(file.read_text(encoding="utf-8") for file in (FOLDER / cloud).glob("*.tf"))
    lines = len(re.findall(r"^\s*[^#\s]", text, re.MULTILINE))
    print(f"{cloud}: {lines} lines of HCL")
    assert lines <= 250


def test_the_checker_is_small() -> None:
    files = ("check.py", "schemas.py")
    text = "".join((Path(__file__).parent / file).read_text(encoding="utf-8") for file in files)
    assert len(text.splitlines()) <= 200


def test_exceptions_of_checkov_are_few_and_have_a_reason(cloud: str) -> None:
    text = (FOLDER / cloud / "main.tf").read_text(encoding="utf-8")
    skips = re.findall(r"#checkov:skip=(\S+): \w.{20,}", text)
    assert len(skips) == text.count("checkov:skip") <= 5


def test_nothing_makes_a_credential_that_stays_valid(cloud: str, document: Document) -> None:
    assert [name for _, name, *_ in objects(document) if LONG_LIVED.search(name)] == []
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
    ((name, redis),) = [one[1::2] for one in objects(document) if one[1] in HOLDS_DATA]
    assert redis["lifecycle"][0]["prevent_destroy"] is True
    # A provider's own lock, which is closed unless it is opened here, would stop every destroy.
    schema = read(frozenset({("resource", name)}))["resource", name]
    assert "deletion_protection" not in schema.parts[""] or redis["deletion_protection"] is False
    (backend,) = document["terraform"][0]["backend"]
    ((kind, settings),) = backend.items()
    # azurerm and gcs lock by themselves.
    assert kind.strip('"') in {"azurerm", "gcs"} or settings["use_lockfile"] is True


def test_modules_are_pinned_and_providers_to_the_version_of_their_schema(
    document: Document,
) -> None:
    pins = document["terraform"][0]["required_providers"][0]
    for (_, name), schema in read(frozenset(one[:2] for one in objects(document))).items():
        assert pins[name.partition("_")[0]]["version"] == f'"{schema.version}"'
    for _, body in named(document["module"]):
        assert re.fullmatch(r'"git::https://github.com/\S+\?ref=[0-9a-f]{40}"', body["source"])


def test_each_price_has_a_source_and_a_date(cloud: str) -> None:
    """What was not found is null: the output lists it as unknown."""
    prices = json.loads((FOLDER / cloud / "prices.json").read_text(encoding="utf-8"))
    for name, item in prices["items"].items():
        assert all(isinstance(item[size], int) for size in ("small", "medium", "large")), name
        known = [item.get("source") in prices["sources"], "date" in item, item["usd"] is not None]
        assert known in ([True] * 3, [False] * 3), name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", item.get("date", "2026-01-01")), name
    assert all(source.startswith("https://") for source in prices["sources"].values())


def test_a_single_host_has_three_values_to_replace_and_no_password() -> None:
    text = (FOLDER / "host/user-data").read_text(encoding="utf-8")
    own = re.sub(r"^ *#.*$|HTTPS?_PORT|TRUSTED_HOSTS", "", text, flags=re.MULTILINE)
    assert text.startswith("#cloud-config\n")
    assert re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)?\b", own) == ["PUBLIC_KEY", "DOMAIN", "REPOSITORY"]
    assert "lock_passwd: true" in text and "ssh_pwauth: false" in text
    assert "plain_text_passwd" not in text and "hashed_passwd" not in text
