"""scripts/ci/plan.py: what runs, whether it ran, and what it costs."""

import importlib
import itertools
import json
import os
import re
from typing import Any

import pytest

from tests.support import workflows
from tests.support.ci_scripts import Git, run_script
from tests.support.paths import ROOT
from tests.support.processes import output_of

plan: Any = importlib.import_module("plan")


@pytest.mark.parametrize(
    ("paths", "decided"),
    [
        (["README.md", "docs/images/console.png"], ""),
        (["environments/staging/values.yaml"], ""),
        (["environments/production/values.yaml"], "promotion"),
        (["environments/production/values.yaml", "pytest.ini"], "code promotion"),
        (["infrastructure/argocd/project.yaml"], "code"),
        (["tests/unit/test_auth.py", "docs/SETUP.md"], "code"),
        ([".github/dependabot.yml", ".checkov.yaml"], "code"),
        (["infrastructure/terraform/aws/main.tf", "tests/terraform/check.py"], "code"),
        ([".github/workflows/clouds.yml"], "code"),
        (["app/routes/items.py", "README.md"], "code build"),
        (["app/services/items.py", "app/templates/index.html"], "code build"),
        # Deployments and clusters ask for these.
        (["app/routes/health.py"], "code build DEPLOYMENT kubernetes"),
        (["app/server/lifecycle.py"], "code build DEPLOYMENT kubernetes"),
        (["requirements.txt", "app/routes/items.py"], "code build DEPLOYMENT kubernetes"),
        ([".github/workflows/docker-build.yml"], "code build DEPLOYMENT kubernetes"),
        (["a-folder-that-is-new/file"], "code build DEPLOYMENT kubernetes"),
        (["scripts/lib/deploy/canary_analysis.py"], "code build DEPLOYMENT"),
        (["infrastructure/helm/devops-starter/values.yaml"], "code build kubernetes"),
        # Alerts are waited for where they may have changed.
        (["app/services/faults.py"], "code build DRILLS"),
        (["infrastructure/docker-compose.yml"], "code build DEPLOYMENT DRILLS"),
        (["monitoring/prometheus/rules/web-alerts.yml"], "code build DEPLOYMENT DRILLS kubernetes"),
        (["tests/e2e/test_drills.py"], "code build DEPLOYMENT DRILLS"),
        (["tests/e2e/test_week.py"], "code build DEPLOYMENT DRILLS WEEK"),
        (
            ["environments/production/values.yaml", "app/routes/items.py"],
            "code build promotion",
        ),
        (None, "code build DEPLOYMENT DRILLS kubernetes promotion"),
    ],
)
def test_paths_decide_what_is_built_and_tested(paths: list[str] | None, decided: str) -> None:
    found = plan.decide(paths)
    said = [name for name in ("code", "build") if getattr(found, name)]
    said += [name for name in ("DEPLOYMENT", "DRILLS", "WEEK") if getattr(plan, name) in found.e2e]
    said += [name for name in ("kubernetes", "promotion") if getattr(found, name)]
    assert said == decided.split()
    assert ("promotion" in found.may_skip) != found.promotion
    assert (plan.STACK in found.e2e) == found.build
    assert (plan.MONITORING in found.e2e) == ("DRILLS" in decided)


PARTS = (plan.STACK, plan.DEPLOYMENT, plan.MONITORING, plan.DRILLS, plan.WEEK)


def test_every_end_to_end_test_is_in_one_part() -> None:
    words = sorted(set(re.findall(r"[a-z]+", " ".join(PARTS))) - {"and", "or", "not"})
    for values in itertools.product([False, True], repeat=len(words)):
        named = dict(zip(words, values, strict=True))
        # pylint: disable-next=eval-used
        assert sum(eval(part, named) for part in PARTS) == 1, named


def test_what_a_push_may_leave_out_runs_at_night() -> None:
    nightly = workflows.job("security-scan/image").data["with"]
    named = [set(re.findall(r'"(.+?)"', found)) for found in re.findall(r"\[.*?\]", nightly["e2e"])]
    assert nightly["kubernetes"] is True
    # From Monday to Saturday, and on Sunday: drills and week are whole modules.
    assert [set(one) for one in named] == [
        {plan.STACK, plan.DEPLOYMENT, "monitoring", "drills"},
        {plan.STACK, plan.DEPLOYMENT, "monitoring", "drills", "week"},
    ]


def planned(git: Git, base: str = "", **environment: str) -> dict[str, str]:
    said = output_of(run_script("plan.py", cwd=git.folder, BASE=base, **environment))
    lines = [line.split("=", 1) for line in said.splitlines() if "=" in line]
    return dict(lines) | {"summary": said}


@pytest.fixture
def base(git: Git) -> str:
    git.write("app/version.py", '__version__ = "1.2.3"  # x-release-please-version\n')
    return git.commit("feat: start")


def test_a_deleted_or_renamed_file_counts_as_changed(git: Git, base: str) -> None:
    git.write("app/old.py", "print()\n")
    middle = git.commit("feat: old")
    git("mv", "app/old.py", "notes.md")
    git.commit("docs: notes")
    assert planned(git, middle)["build"] == "true"
    assert planned(git, base)["build"] == "false"


def test_what_was_not_published_yet_is_still_to_be_tested(git: Git, base: str) -> None:
    """Its own run may have failed, for example on a cluster."""
    git.write("docker/Dockerfile", "FROM scratch\n")
    pushed = git.commit("feat: another image")
    git.write("app/routes/items.py", "")
    git.commit("feat: items")
    wanted = {base: True, pushed: False, "HEAD": False, "none": True, "": False}
    for published, also in wanted.items():
        found = planned(git, pushed, PUBLISHED=published)
        assert found["kubernetes"] == json.dumps(also)


def test_slow_tests_run_for_a_pull_request_and_not_again_for_its_push(git: Git, base: str) -> None:
    git.write("docker/Dockerfile", "FROM scratch\n")
    git.commit("feat: another image")
    assert json.loads(planned(git, base)["e2e"]) == [plan.STACK, plan.DEPLOYMENT]
    assert json.loads(planned(git, base, PUBLISHED="none")["e2e"]) == [plan.STACK]
    command = workflows.job("docker-build/e2e").data["steps"][-1]
    assert "${QUICK:+--quick}" in command["run"]
    assert command["env"]["QUICK"] == "${{ github.event_name == 'push' && 'yes' || '' }}"


def test_the_name_of_a_file_may_be_no_text(git: Git, base: str) -> None:
    (git.folder / os.fsdecode(b"\xff.py")).touch()
    git.commit("feat: old")
    assert planned(git, base)["build"] == "true"


@pytest.mark.parametrize("unknown", ["", "0" * 40])
def test_without_a_known_base_everything_runs(git: Git, base: str, unknown: str) -> None:
    assert base
    assert planned(git, unknown)["build"] == "true"


def test_only_the_commit_that_releases_a_version_has_it_for_a_name(git: Git, base: str) -> None:
    assert planned(git)["version"] == f"1.2.3+g{base[:7]}"
    git.write("app/version.py", '__version__ = "1.3.0"\n')
    git.write(".release-please-manifest.json", '{".": "1.3.0"}')
    git.commit("chore(main): release 1.3.0")
    assert planned(git)["version"] == "1.3.0"
    following = git.commit("feat: next")
    assert planned(git)["version"] == f"1.3.0+g{following[:7]}"


def test_the_image_is_named_in_lower_case_as_registries_want_it(git: Git, base: str) -> None:
    assert planned(git, base, GITHUB_REPOSITORY="Me/My-App")["image"] == "ghcr.io/me/my-app"


def test_a_private_repository_reads_in_one_sentence_what_is_skipped(git: Git, base: str) -> None:
    assert "are skipped" not in planned(git, base, VISIBILITY="public")["summary"]
    assert "harden-runner" in planned(git, base, VISIBILITY="private")["summary"]


def test_a_missing_version_is_one_line(git: Git) -> None:
    git.commit("feat: nothing")
    done = run_script("plan.py", cwd=git.folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: app/version.py") and done.stderr.count("\n") == 1


def gate(may_skip: str, **results: str) -> Any:
    needs = json.dumps({name: {"result": result} for name, result in results.items()})
    step = workflows.job("ci-cd/required").data["steps"][1]
    script, *arguments = step["run"].removeprefix("./scripts/ci/").split()
    assert set(step["env"]) == {"NEEDS", "MAY_SKIP"}
    return run_script(script, *arguments, NEEDS=needs, MAY_SKIP=may_skip)


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_the_gate_stays_shut_for_anything_but_success(result: str) -> None:
    done = gate("image", lint=result, unit="success")
    assert (done.returncode, f"lint: {result}" in done.stderr) == (1, True)


def test_the_gate_accepts_as_skipped_what_the_plan_skips() -> None:
    pages_only = plan.decide(["README.md"]).may_skip
    skipped = dict.fromkeys(["lint", "unit", "integration", "image"], "skipped")
    assert gate(pages_only, plan="success", **skipped).returncode == 0
    assert gate(pages_only, plan="skipped", **skipped).returncode == 1
    assert gate(pages_only, **(skipped | {"lint": "failure"})).returncode == 1
    assert gate(plan.decide(None).may_skip, **skipped).returncode == 1


def test_a_gate_without_any_result_stays_shut() -> None:
    assert gate("").returncode == 1


minutes: Any = importlib.import_module("pipeline_minutes")


def test_every_job_of_a_push_has_its_seconds() -> None:
    """A new job, or part of one, may cost minutes that nobody has counted."""
    elsewhere = {"ci-cd/image", "ci-cd/staging", "ci-cd/production", "docker-build/e2e"}
    elsewhere.add("ci-cd/promote")  # where Argo CD is used
    parts = {f"docker-build/e2e ({part})" for part in PARTS}
    parts.remove(f"docker-build/e2e ({plan.STACK})")
    for job in ("ci-cd/unit", "ci-cd/integration", f"docker-build/e2e ({plan.STACK})"):
        elsewhere.add(job)
        parts |= {f"{job} {place}" for place in minutes.PLACES}
    parts |= {f"pull-request/title {minutes.PLACES[0]}", f"{minutes.PAGES} (pages)"}
    assert set(minutes.measured()) == set(minutes.jobs()) - elsewhere | parts


def counted(what: str, on_main: bool) -> int:
    return int(minutes.counted(minutes.started(minutes.CHANGES[what], on_main)))


def test_a_push_is_a_signed_image_in_twenty_minutes_and_pages_take_four() -> None:
    for what, paths in minutes.CHANGES.items():  # pages come last
        push = minutes.started(paths, True)
        assert minutes.end(minutes.SIGNED, push, minutes.jobs()) <= 20 * 60
        assert counted(what, True) <= 35
        assert what == "pages" or minutes.to_production(paths, minutes.jobs()) <= 25 * 60
    assert minutes.end(minutes.PAGES, push, minutes.jobs()) <= 4 * 60
    assert max(counted("pages", on_main) for on_main in (False, True)) <= 4


def test_the_page_has_the_present_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    minutes.main()
    assert capsys.readouterr().out in (ROOT / "docs/CI-CD.md").read_text(encoding="utf-8")


def test_a_change_is_counted_by_what_the_plan_starts_for_it() -> None:
    service, pages = (minutes.CHANGES[what] for what in ("how the service answers", "pages"))
    title = f"pull-request/title {minutes.PLACES[0]}"
    asked = {"ci-cd/plan", "ci-cd/required (pages)", title}
    assert set(minutes.started(pages, False)) == asked
    request, push = minutes.started(service, False), minutes.started(service, True)
    tests = {"ci-cd/unit", "ci-cd/integration", f"docker-build/e2e ({plan.STACK})"}
    quick = {f"{job} {minutes.PLACES[1]}" for job in tests}
    assert set(push) - set(request) == {"ci-cd/publish", "ci-cd/release"} | quick
    assert "docker-build/kubernetes" not in push
    elsewhere = {job for job in minutes.measured() if job.endswith(minutes.PLACES[1])}
    every = set(minutes.measured()) - elsewhere - {"ci-cd/required (pages)", "ci-cd/promotion"}
    every -= minutes.ONLY_ON_MAIN
    assert set(minutes.started(["docker/Dockerfile", "tests/e2e/test_week.py"], False)) == every


def test_a_job_ends_after_the_slowest_part_of_the_slowest_that_it_waits_for() -> None:
    known = {"ci-cd/a": {}, "ci-cd/b": {}, "ci-cd/last": {"needs": ["a", "b", "left-out"]}}
    known["ci-cd/left-out"] = {}
    run = {"ci-cd/a": 60, "ci-cd/b (one)": 30, "ci-cd/b (other part)": 90, "ci-cd/last": 5}
    assert minutes.end("ci-cd/last", run, known) == 95
    assert minutes.counted(run) == 1 + 1 + 2 + 1
