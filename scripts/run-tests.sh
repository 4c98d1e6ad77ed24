#!/usr/bin/env bash
# Checks and tests, the same here and in CI; --help says which.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/checks.sh
source "$here/lib/checks.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/run-tests.sh [--lint] [--unit] [--integration] [--security] [--e2e] [-- PYTEST_ARGUMENTS]

Without a choice: --lint --unit --integration. Choices add up. Every step runs, also after one that
has failed; the exit status is 0 only if all passed.

  --lint         black, flake8, pylint, bandit, mypy, shellcheck, actionlint, zizmor, yamllint, hadolint
  --unit         tests/unit
  --integration  tests/integration, against a real Redis: TEST_REDIS_URL, else a redis-server of its
                 own, else a container; without any of them these tests are skipped, in CI they fail
  --security     bandit, pip-audit, safety where SAFETY_API_KEY is set, secrets in tracked files, and
                 the licences of what is shipped
  --e2e          tests/e2e, against the whole stack in containers; without a container engine they are
                 skipped with one line, in CI (CI=true) that is a failure
  --             hand the rest to pytest, e.g. -- -k cache -x

Unit and integration tests together must reach 95 % branch coverage; a selection of them, made by
a single choice or by arguments after --, is not held to it.

Exit status: 0 all passed, 1 something failed, 130 Ctrl-C.
USAGE
}

main() {
  local lint=false unit=false integration=false security=false e2e=false chosen=false
  while (($#)); do
    case $1 in
      --lint) lint=true ;;
      --unit) unit=true ;;
      --integration) integration=true ;;
      --security) security=true ;;
      --e2e) e2e=true ;;
      -h | --help)
        usage
        return
        ;;
      --)
        shift
        PYTEST_ARGUMENTS=("$@")
        break
        ;;
      *) fail "unknown option $1; ./scripts/run-tests.sh --help lists them all" ;;
    esac
    [[ $1 == --* ]] && chosen=true
    shift
  done
  $chosen || lint=true unit=true integration=true

  cd "$ROOT"
  # Some tools end of their own accord when interrupted, and the next step must not begin then.
  trap 'say "Interrupted." >&2; exit 130' INT
  ensure_environment dev
  export PATH="$VENV/bin:$PATH"

  if $lint; then lint_steps; fi
  if $lint || $security; then step bandit bandit --quiet --recursive --configfile pyproject.toml app scripts; fi
  if $security; then security_steps; fi
  if $unit && $integration; then
    covered_tests
  elif $unit; then
    step "unit tests" pytest_step tests/unit
  elif $integration; then
    step "integration tests" pytest_step tests/integration
  fi
  if $e2e; then e2e_tests; fi
  summary
}

main "$@"
