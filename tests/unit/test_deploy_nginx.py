"""What nginx is told at each stage; that nginx takes it is for tests/e2e to show."""

import re
from math import isclose

import pytest
from deploy import nginx

WEB, CANDIDATE = ["10.0.0.1", "10.0.0.2"], ["10.0.0.3", "10.0.0.4"]


def servers(configuration: str, upstream: str = "service") -> list[str]:
    block = re.search(rf"upstream {upstream} \{{(.*?)\}}", configuration, re.DOTALL)
    assert block
    return re.findall(r"^    server (.*);$", block[1], re.MULTILINE)


def weight(server: str) -> int:
    match = re.search(r"weight=(\d+)", server)
    return int(match[1]) if match else 1


@pytest.mark.parametrize("percent", [10, 50])
@pytest.mark.parametrize(("old", "new"), [(2, 2), (1, 3), (3, 1)])
def test_the_candidate_gets_its_share_whatever_the_number_of_replicas(
    percent: int, old: int, new: int
) -> None:
    web, candidate = (WEB + CANDIDATE)[:old], [f"10.1.0.{number}" for number in range(new)]

    named, *addressed = servers(nginx.split(web, candidate, percent, writes=True))

    # The name stands for as many servers as there are old replicas.
    theirs, ours = weight(named) * old, sum(weight(one) for one in addressed)
    assert isclose(ours / (ours + theirs), percent / 100)


def test_the_first_share_has_no_request_that_must_not_be_repeated() -> None:
    configuration = nginx.split(WEB, CANDIDATE, 10, writes=False)

    assert "POST service_writes; PATCH service_writes;" in configuration
    assert [one.split()[0] for one in servers(configuration, "service_writes")] == [
        "10.0.0.1:8000",
        "10.0.0.2:8000",
    ]


def test_what_the_candidate_answers_with_an_error_is_retried_on_the_old_version() -> None:
    for configuration in (
        nginx.split(WEB, CANDIDATE, 10, writes=False),
        nginx.cut_over(CANDIDATE, retry_errors=True),
    ):
        assert "proxy_next_upstream error timeout http_500" in configuration


def test_while_errors_count_as_failures_the_old_version_is_never_skipped() -> None:
    configuration = nginx.split(WEB, CANDIDATE, 50, writes=True)

    assert "max_fails=0" in servers(configuration)[0]


def test_old_replicas_that_are_about_to_be_renewed_are_only_a_backup() -> None:
    configuration = nginx.cut_over(CANDIDATE, retry_errors=False)

    *candidate, web = servers(configuration)
    assert web.startswith("web:8000 resolve") and web.endswith("backup")
    assert not any("backup" in one for one in candidate)
    assert configuration.endswith("proxy_next_upstream error timeout;\n")


def test_promoting_needs_no_name_to_be_resolved_first() -> None:
    found = servers(nginx.promote(WEB, CANDIDATE))

    assert [one.split()[0] for one in found if "backup" not in one] == [
        "10.0.0.1:8000",
        "10.0.0.2:8000",
        "web:8000",
    ]
    assert [one.split()[0] for one in found if "backup" in one] == [
        "10.0.0.3:8000",
        "10.0.0.4:8000",
    ]


def test_between_deploys_the_file_is_the_one_in_the_repository() -> None:
    assert servers(nginx.stable()) == ["web:8000 resolve max_fails=3 fail_timeout=1s"]
