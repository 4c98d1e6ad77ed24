"""Delivery: what runs where, how the newest version does, verdicts, DORA's measures."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.frame import dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, ORANGE, RED, cell, column, good_below, or_zero, series, stat, states,
    table)
from monitoring.grafana.generate.questions import ANALYSIS, QUESTIONS

COUNT = f"count({n.APP_INFO})"  # which there is as long as the service answers
PLACES = f"group by (namespace) ({n.APP_INFO})"
NOT_SEEN = "not seen"
# Colours of what the controllers call their states.
ROLLOUT = {GREEN: "Completed", BLUE: "Progressing", ORANGE: "Paused",
           RED: "Abort|Timeout|Error|InvalidSpec"}
VERDICTS = {"Successful": GREEN, "Running": BLUE, "Pending": BLUE, "Inconclusive": ORANGE,
            "Failed": RED, "Error": RED, NOT_SEEN: GREY}
APPLICATION = {"Synced": GREEN, "Healthy": GREEN, "Progressing": BLUE, "Suspended": ORANGE,
               "OutOfSync": ORANGE, "Degraded": RED, "Missing": RED, "Unknown": RED, NOT_SEEN: GREY}


def build() -> dict[str, Any]:
    return dashboard(
        "ds-delivery",
        "Delivery",
        "Versions: what runs where, how the newest one does, verdicts, and DORA's four measures.",
        {
            "": measures(),
            "What runs where": versions(),
            "The newest version": newest(),
            "Argo Rollouts and Argo CD": controllers(),
        },
        span="now-6h",
    )


def measures() -> list[Any]:
    def median(recorded: str, which: str) -> str:
        values = f"{which}_over_time(deploy:version:{recorded}[30d])"
        return or_zero(f"quantile(0.5, {values})", COUNT)

    begun = "count(last_over_time(deploy:version:changed[30d]))"
    failed = "count(last_over_time(deploy:version:failed_timestamp_seconds[30d]))"
    return [
        stat("Deployment frequency",
             "How often a version began to serve in 30 days; canaries and rollbacks count.",
             or_zero("sum(count_over_time(deploy:version:changed[30d]))", COUNT),
             "suffix: in 30 days", width=6, decimals=0),
        stat("Lead time for changes",
             "From the commit on main to its first replica: the median of 30 days. For an image "
             "that was not built by the pipeline, from the build.",
             median("lead_seconds", "min"), "s", width=6, decimals=1,
             names={"0": ("unknown", GREY)}),
        stat("Change failure rate",
             "Share of the versions of 30 days for which NewVersionFails fired, or that went while "
             "an older one serves: rolled back, or refused by an analysis.",
             or_zero(f"{failed} / {begun}", COUNT), "percentunit", width=6, decimals=0,
             steps=good_below(0.05, 0.15)),
        stat("Time to restore",
             "How long those that failed had replicas, until another version served alone: the "
             "median of 30 days.",
             median("failed_seconds", "last"), "s", width=6, decimals=1,
             names={"0": ("none failed", GREEN)}),
    ]


def versions() -> list[Any]:
    labels = ("namespace", "environment", "version", "commit")
    by = ", ".join(labels)

    def short(expr: str) -> str:
        return f'label_replace({expr}, "commit", "${{1}}", "commit", "(.{{7}}).*")'

    since = f"""max by ({by}) ({n.APP_INFO} * on (namespace, version, commit) group_left ()
    last_over_time(deploy:version:begun_timestamp_seconds[30d])) * 1000"""
    return [
        table("What runs now",
              "One row for each version in each namespace; outside a deploy one row a namespace. "
              "Since: when it last began to serve, if that was in the last 30 days.",
              {"Replicas": column(short(f"count by ({by}) ({n.APP_INFO})")),
               "Since": column(short(since), "dateTimeFromNow")},
              labels={label: label.capitalize() for label in labels}, sort="Namespace",
              descending=False, width=14,
              cells={"Namespace": cell(205), "Environment": cell(105), "Version": cell(110),
                     "Commit": cell(80), "Replicas": cell(80), "Since": cell(120)}),
        series("Replicas by version", "Two colours at once: a deploy is running.",
               {"{{namespace}} {{version}}": f"count by (namespace, version) ({n.APP_INFO})"},
               width=10, stacked=True, at_least=1),
    ]


def answer(question: str) -> str:
    """The last answers to a question, by version."""
    last = f'last_over_time(deploy:version:answer{{question=~"{question}"}}[1d])'
    return f"max by (namespace, version, question) ({last})"


def newest() -> list[Any]:
    requests = "deploy:version:requests:rate1m"
    limits = [f"0 * {answer(name)} + {one['limit']}" for name, one in QUESTIONS.items()]
    good = [f"{answer(name)} <= bool {one['limit']}" for name, one in QUESTIONS.items()]
    return [
        series("Share of requests by version",
               "Of each namespace. A canary gets its part until it is promoted or refused.",
               {"{{namespace}} {{version}}": f"""sum by (namespace, version) ({requests})
               / on (namespace) group_left () (sum by (namespace) ({requests}) > 0)"""},
               "percentunit", width=10, highest=1),
        table("Answers of the analysis",
              "What versions answered at last in their first 15 minutes to the questions of "
              f"monitoring/analysis.json, once they had {ANALYSIS['requests']['least']} requests; "
              "of the last day. errors, saturation: shares; latency: seconds; restarts: a number, "
              "on Kubernetes only.",
              {"Answer": column(answer(".*")),
               "Limit": column(" or ".join(limits)),
               "Verdict": column(" or ".join(good))},
              labels={"namespace": "Namespace", "version": "Version", "question": "Question"},
              sort="Verdict", descending=False, width=14, empty="no new version, or no data",
              cells={"Namespace": cell(205), "Version": cell(110), "Question": cell(110),
                     "Answer": cell(90), "Limit": cell(80),
                     "Verdict": cell(80, names={"1": ("good", GREEN), "0": ("bad", RED)})}),
    ]


def of_ours(metric: str, label: str = "exported_namespace") -> str:
    """A controller's metric, in the namespaces of the service.

    They are in a label of the metric, beside the controller's own. With honorLabels in the
    ServiceMonitor there is no such label.
    """
    moved = f'label_replace({metric}, "namespace", "${{1}}", "{label}", "(.+)")'
    return f"{moved} and on (namespace) {n.APP_INFO}"


def controllers() -> list[Any]:
    def seen(found: str, *labels: str) -> str:
        """One row for each place, even if its controller is not there or not scraped."""
        nothing = f"0 * ({PLACES} unless on (namespace) ({found}))"
        for label in labels:
            nothing = f'label_replace({nothing}, "{label}", "{NOT_SEEN}", "", "")'
        return f"{found} or {nothing}"

    def words(colors: dict[str, str]) -> dict[str, tuple[str, str]]:
        return {word: (word, color) for word, color in colors.items()}

    def phase(value: int, names: str) -> str:
        info = f'rollout_info{{phase=~"{names}"}}'
        return f"{value} * max by (namespace) ({of_ours(info)})"

    phases = " or ".join(phase(value, names) for value, names in enumerate(ROLLOUT.values(), 1))
    undone = 'max by (namespace) (ALERTS{alertname="ChangeUndone", alertstate="firing"})'
    argocd = f"6 * group by (namespace) ({of_ours('argocd_app_info', 'dest_namespace')})"
    runs = f"count by (namespace, name, phase) ({of_ours('analysis_run_info')})"
    applications = f"""count by (namespace, sync_status, health_status) (
    {of_ours('argocd_app_info', 'dest_namespace')})"""
    named = ("completed", "progressing", "paused", "aborted or stuck")
    return [
        states("Rollouts and changes undone",
               "Each Rollout as Argo Rollouts sees it; and when Argo CD undid a change by hand "
               "(alert ChangeUndone). Not seen: not used here, or not scraped.",
               {"{{namespace}} rollout": or_zero(phases, PLACES),
                "{{namespace}} changes": or_zero(f"5 * {undone} or {argocd}", PLACES)},
               {"0": (NOT_SEEN, GREY), "5": ("undone", RED), "6": ("none undone", GREEN),
                **{str(value): word for value, word in
                   enumerate(zip(named, ROLLOUT, strict=True), 1)}}),
        table("Environments of Argo CD",
              "Whether each runs what Git says, and is well. Argo CD calls healthy what it cannot "
              "render: then sync is Unknown.",
              {"Apps": column(seen(applications, "sync_status", "health_status"))},
              labels={"namespace": "Namespace", "sync_status": "Sync", "health_status": "Health"},
              sort="Namespace", descending=False, width=12,
              cells={"Namespace": cell(205), "Sync": cell(110, names=words(APPLICATION)),
                     "Health": cell(110, names=words(APPLICATION)), "Apps": cell(80)}),
        table("Verdicts",
              "The analysis runs that Argo Rollouts keeps; a name ends with the Rollout's revision "
              "and step. Inconclusive: the rollout waits for a person.",
              {"Runs": column(seen(runs, "phase"))},
              labels={"namespace": "Namespace", "name": "Analysis", "phase": "Verdict"},
              sort="Namespace", descending=False, height=7,
              cells={"Analysis": cell(450), "Verdict": cell(200, names=words(VERDICTS)),
                     "Runs": cell(100)}),
    ]
