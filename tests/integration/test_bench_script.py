"""scripts/bench.sh --check: the peers have the features that make the comparison a fair one."""

import pytest

from tests.support.clone import environment
from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.processes import run
from tests.support.redis_server import RedisServer


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_peer_has_metrics_request_id_security_headers_and_a_json_access_line() -> None:
    if not RedisServer.available():
        missing("NO redis-server ON PATH: the bench's peers cannot be started")

    done = run([ROOT / "scripts" / "bench.sh", "--check"], env=environment(), seconds=380)

    if "could not be installed" in done.stderr:
        pytest.skip(f"NO PEERS, THE BENCH IS NOT CHECKED: {done.stderr.strip()}")
    assert done.returncode == 0, done
    assert done.stdout == "ours, tutorial, fastapi and bare answer as they should\n"
