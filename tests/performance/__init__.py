"""The service measured beside its peers; `scripts/bench.sh --help` says how to run it."""
