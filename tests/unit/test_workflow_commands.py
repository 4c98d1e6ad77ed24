"""What the workflows run exists, and takes the arguments and the environment it is given."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import workflows
from tests.support.workflows import ROOT

DIGEST = f"sha256:{'0' * 64}"
# What the variables in the workflows' commands may hold; the scripts check the form of most.
SAMPLES = {
    "ARCHIVE": "image.tar",
    "DEPLOY_OUTCOME": "success",
    "DEPLOY_URL": "https://example.org",
    "DIGEST": DIGEST,
    "ENVIRONMENT": "staging",
    "GITHUB_ACTOR": "someone",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SHA": "0" * 40,
    "HEALTH_OUTCOME": "",
    "IMAGE": f"ghcr.io/owner/name@{DIGEST}",
    "IMAGES": "ghcr.io/owner/name docker.io/owner/name",
    "LINK": "https://example.org/run",
    "RESULT": "success",
    "ROLLBACK_OUTCOME": "skipped",
    "TAGS": "main sha-000000000000",
    "TITLE": "fix(cache): keep the TTL",
    "VERSION": "1.2.3",
    "WHAT": "owner/name 1.2.3 to staging",
}
COMMANDS = workflows.commands()
IDS = [where for where, _, _ in COMMANDS]


def filled_in(words: list[str]) -> list[str]:
    """As the shell would: ${IMAGE%@*} is the image without its digest."""

    def value(found: re.Match[str]) -> str:
        text = SAMPLES[found[1] or found[2]]
        return text.split("@")[0] if "%@*" in found[0] else text

    return [re.sub(r"\$(?:(\w+)|\{(\w+)(?:%@\*)?\})", value, word) for word in words]


def dry_run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command with --dry-run, behind which every script here only checks its arguments."""
    if words[:2] == ["./scripts/ci/tool.sh", "python"]:
        words = [sys.executable, *words[2:]]
    return subprocess.run(
        [*words, "--dry-run"],
        cwd=ROOT,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_REPOSITORY": "o/n",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("where", "words", "environment"), COMMANDS, ids=IDS)
def test_a_step_calls_a_script_that_takes_these_arguments(
    where: str, words: list[str], environment: dict[str, str]
) -> None:
    del environment
    assert words[0].startswith("./scripts/"), f"{where} holds logic of its own"
    assert os.access(ROOT / words[0], os.X_OK)

    if words[0] == "./scripts/run-tests.sh":
        options = subprocess.run(
            [*words[:1], "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert all(f"  {word} " in options.stdout for word in words[1:])
    else:
        done = dry_run(filled_in(words))
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("where", "words", "environment"), COMMANDS, ids=IDS)
def test_a_step_sets_only_variables_that_something_reads(
    where: str, words: list[str], environment: dict[str, str]
) -> None:
    del where
    # gh reads GH_TOKEN, and so does zizmor.
    readers = [*(ROOT / "scripts").rglob("*.*"), *(ROOT / "tests").rglob("*.py")]
    own = {Path(__file__), ROOT / "tests" / "support" / "workflows.py"}
    code = "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in readers
        if path.is_file() and path.suffix in (".sh", ".py") and path not in own
    )

    unread = [
        name
        for name in environment
        if name not in " ".join(words) and not re.search(rf"\b{name}\b", code)
    ]
    shared = {name for name in unread if name in ("IMAGE", "VERSION", "ENVIRONMENT", "DIGEST")}
    assert set(unread) <= shared


SKOPEO, COSIGN, TRIVY = "install-packages.sh skopeo", "sigstore/cosign-installer", "setup-trivy"
# What scripts start that a runner's machine does not promise to have.
PROGRAMS = {
    "load-image.sh": (SKOPEO,),
    "push-image.sh": (SKOPEO,),
    "scan-image.sh": (SKOPEO, TRIVY),
    "sign-image.sh": (COSIGN,),
    "verify-signature.sh": (COSIGN,),
}


@pytest.mark.parametrize(("script", "programs"), PROGRAMS.items())
def test_a_job_installs_what_its_scripts_start(script: str, programs: tuple[str, ...]) -> None:
    users = [
        [str(step.get("run", "")) + str(step.get("uses", "")) for step in job.steps]
        for job in workflows.jobs()
        if any(script in str(step.get("run", "")) for step in job.steps)
    ]

    assert users
    for steps in users:
        used = next(at for at, step in enumerate(steps) if script in step)
        for program in programs:
            assert any(program in step for step in steps[:used])


SCRIPTS = sorted(
    path
    for path in (ROOT / "scripts" / "ci").iterdir()
    if os.access(path, os.X_OK) and path.is_file()
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_a_script_explains_itself_and_refuses_what_it_does_not_know(script: Path) -> None:
    command = [sys.executable, script] if script.suffix == ".py" else [script]
    explained = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    refused = subprocess.run(
        [*command, "--no-such-thing"], capture_output=True, text=True, check=False
    )

    assert explained.returncode == 0 and explained.stdout.lower().startswith("usage: ")
    assert refused.returncode != 0 and refused.stderr
