"""Runs the load test with Locust as a library, and compares the results with the thresholds."""

import sys
from argparse import Namespace

import gevent
from locust.env import Environment
from locust.html import get_html_report
from locust.stats import StatsEntry, stats_history

from tests.performance.load_options import parse
from tests.performance.load_user import KEYS, VALUE, Visitor

# Users arrive over a few seconds, so that a short test has them all.
ARRIVAL_SECONDS = 5


def main() -> int:
    options = parse(sys.argv[1:])
    Visitor.host = options.url
    Visitor.insecure = options.insecure
    if options.token_file:
        Visitor.headers = {"Authorization": f"Bearer {options.token_file}"}
    environment = Environment(user_classes=[Visitor], host=options.url)
    try:
        _probe(environment)
        _run(environment, options)
    except ConnectionError as error:
        print(f"error: nothing answers at {options.url}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        if environment.runner:
            environment.runner.quit()
    if options.report:
        options.report.write_text(get_html_report(environment), encoding="utf-8")
    return _judge(environment, options)


def _probe(environment: Environment) -> None:
    """Check that the service answers, and whether it accepts writes."""
    user = Visitor(environment)
    answer = user.client.get("/health/live")
    if answer.status_code != 200:
        raise ConnectionError(f"/health/live says {answer.status_code or answer.error}")
    stored = user.client.put(f"/api/v1/cache/{KEYS[0]}?ttl=60", json=VALUE, headers=Visitor.headers)
    Visitor.writes = stored.ok
    if not Visitor.writes:
        print(f"Reads only: a write is answered with {stored.status_code} (--token-file)")
    environment.stats.reset_all()


def _run(environment: Environment, options: Namespace) -> None:
    runner = environment.create_local_runner()
    history = gevent.spawn(stats_history, runner)
    runner.start(options.users, spawn_rate=max(1.0, options.users / ARRIVAL_SECONDS))
    gevent.sleep(options.duration)
    runner.stop()
    history.kill()


def _judge(environment: Environment, options: Namespace) -> int:
    """Print the results; returns the exit status."""
    for entry in sorted(environment.stats.entries.values(), key=lambda entry: entry.name):
        print(_line(f"{entry.method} {entry.name}", entry))
    total = environment.stats.total
    print(_line("all", total))
    for error in environment.stats.errors.values():
        print(f"error: {error.occurrences} × {error.method} {error.name}: {error.error}")
    if not total.num_requests:
        print("BROKEN: no request was answered")
        return 1
    p99 = total.get_response_time_percentile(0.99)
    kept = {
        f"p99 {p99:.0f} ms, at most {options.p99_ms:g}": p99 <= options.p99_ms,
        f"errors {total.fail_ratio:.2%}, at most {options.error_ratio:.2%}": total.fail_ratio
        <= options.error_ratio,
    }
    for text, good in kept.items():
        print(f"{'kept' if good else 'BROKEN'}: {text}")
    return 0 if all(kept.values()) else 1


def _line(name: str, entry: StatsEntry) -> str:
    p50, p99 = (entry.get_response_time_percentile(share) for share in (0.5, 0.99))
    return (
        f"{name:42} {entry.num_requests:7} requests {entry.total_rps:8.1f}/s"
        f" {entry.num_failures:5} errors   p50 {p50:6.0f} ms   p99 {p99:6.0f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
