"""scripts/ci/verify-signature.sh and protect-branch.sh: what they ask of Sigstore and of GitHub."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import workflows
from tests.support.ci_scripts import SCRIPTS, run_script
from tests.support.paths import ROOT
from tests.support.processes import Programs, output_of, run

IMAGE, COMMIT = f"ghcr.io/o/n@sha256:{'1' * 64}", "a" * 40
SIGNER = "https://github.com/o/n/.github/workflows/ci-cd.yml@refs/heads/main"


def verify(programs: Programs, *arguments: str) -> Any:
    settings: dict[str, Any] = {"PATH": programs.path, "GITHUB_REPOSITORY": "o/n"}
    return run_script("verify-signature.sh", *arguments, **settings)


def test_only_a_signature_of_this_pipeline_for_the_commit_counts(programs: Programs) -> None:
    programs.add("cosign")

    assert verify(programs, "--image", IMAGE, "--commit", COMMIT).returncode == 0

    asked = programs.calls[-1]
    assert f"verify {IMAGE} --certificate-identity {SIGNER} " in asked
    for option, value in {
        "oidc-issuer": "https://token.actions.githubusercontent.com",
        "github-workflow-repository": "o/n",
        "github-workflow-ref": "refs/heads/main",
        "github-workflow-sha": COMMIT,
    }.items():
        assert f"--certificate-{option} {value}" in asked


@pytest.mark.parametrize(
    ("cosign", "arguments", "complaint"),
    [
        ("[[ $1 != verify ]]", ["--image", IMAGE], "has no valid signature"),
        ('echo "GitVersion:    v2.6.1"', ["--image", IMAGE], "cosign 2.6.1 is too old"),
        ("", ["--image", "ghcr.io/o/n:main"], "by digest"),
        ("", ["--image", IMAGE, "--commit", "main"], "all 40 digits"),
    ],
)
def test_anything_else_fails(
    programs: Programs, cosign: str, arguments: list[str], complaint: str
) -> None:
    programs.add("cosign", cosign)
    done = verify(programs, *arguments)
    assert done.returncode == 1 and complaint in done.stderr


def requests(script: Path = SCRIPTS / "protect-branch.sh") -> list[tuple[str, Any]]:
    """(method and path, body) of what protect-branch.sh would send."""
    said = output_of(run([script, "--dry-run"]))
    parts = re.split(r"^((?:PUT|POST|PATCH) /.*)$", said, flags=re.MULTILINE)[1:]
    return [
        (line, json.loads(body) if body.strip() else None)
        for line, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def test_main_asks_for_checks_that_exist_released_tags_stay_and_only_main_deploys() -> None:
    sent = requests()
    rules = {body["target"]: body for line, body in sent if line.endswith("/rulesets")}

    main = {rule["type"]: rule.get("parameters", {}) for rule in rules["branch"]["rules"]}
    checks = main["required_status_checks"]["required_status_checks"]
    jobs = (job for job in workflows.jobs() if job.workflow in ("ci-cd", "pull-request"))
    assert {check["context"] for check in checks} == {"Required", "Title"}
    assert {"Required", "Title"} <= {job.data["name"] for job in jobs}
    assert {"deletion", "non_fast_forward"} <= set(main)
    assert rules["tag"]["conditions"]["ref_name"]["include"] == ["refs/tags/v*"]
    assert {rule["type"] for rule in rules["tag"]["rules"]} == {"deletion", "update"}
    policies = [body["name"] for line, body in sent if "deployment-branch-policies" in line]
    assert policies == ["main", "main"]
    (production,) = (body for line, body in sent if line.endswith("environments/production"))
    assert len(production["reviewers"]) == 1


@pytest.mark.parametrize(
    ("owners", "asked"),
    [
        ("# Nobody yet, e.g. `* @you`\n", False),
        ("# Ours:\n* @you\n", True),
        ("/app me@x.org", True),
    ],
)
def test_an_owner_has_to_review_where_one_is_named(
    tmp_path: Path, owners: str, asked: bool
) -> None:
    for name in ("scripts/ci/protect-branch.sh", "scripts/lib/common.sh"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/CODEOWNERS").write_text(owners)
    sent = requests(tmp_path / "scripts/ci/protect-branch.sh")
    (rules,) = (body["rules"] for _, body in sent if body and body.get("target") == "branch")
    (reviews,) = (rule["parameters"] for rule in rules if rule["type"] == "pull_request")
    assert reviews["require_code_owner_review"] is asked


# A private repository without a plan that has rules and environments.
FREE_PLAN = """
if [[ $* == *rulesets* || $* == *environments* ]]; then
  echo "gh: Upgrade to GitHub Pro or make this repository public. (HTTP 403)" >&2
  exit 1
fi
[[ $* != *--jq* ]] || echo 7
"""


def test_what_a_plan_does_not_offer_is_skipped_and_the_rest_is_set(programs: Programs) -> None:
    programs.add("gh", FREE_PLAN)
    said = output_of(run_script("protect-branch.sh", "--repository", "o/n", PATH=programs.path))
    skipped = [line for line in said.splitlines() if line.startswith("Skipped: ")]
    assert len(skipped) == 6 and all("Upgrade to GitHub Pro" in line for line in skipped)
    assert any("private-vulnerability-reporting" in call for call in programs.calls)


def test_what_an_organisation_forbids_is_skipped(programs: Programs) -> None:
    refuse = 'if [[ $* == *permissions/workflow* ]]; then echo "gh: HTTP 409" >&2; exit 1; fi'
    programs.add("gh", f"{refuse}\n[[ $* != *--jq* ]] || echo 7")
    said = output_of(run_script("protect-branch.sh", "--repository", "o/n", PATH=programs.path))
    assert "Skipped: a release pull request by GitHub's own token" in said
    assert any("private-vulnerability-reporting" in call for call in programs.calls)


def test_a_request_that_fails_for_another_reason_ends_it(programs: Programs) -> None:
    programs.add("gh", '[[ $* == *--jq* ]] && echo 7 && exit; echo "gh: HTTP 500" >&2; exit 1')
    done = run_script("protect-branch.sh", "--repository", "o/n", PATH=programs.path)
    assert done.returncode == 1
