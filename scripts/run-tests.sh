#!/usr/bin/env bash
# Checks and tests, the same here and in CI; --help lists them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/checks.sh
source "$here/lib/checks.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/run-tests.sh [--lint] [--unit] [--integration] [--security] [--e2e] [--quick] [-- PYTEST_ARGUMENTS]

Without options: --lint --unit --integration --quick. Options add up. Every step runs, also after one that has
failed; the exit status is 0 only if all passed.

  --lint         black, flake8, pylint, bandit, mypy, shellcheck, actionlint, zizmor, yamllint, hadolint,
                 nginx and gixy, checkov (needs helm), terraform (scripts/lint-terraform.sh --install),
                 policies (needs conftest, or Docker for its image)
  --unit         tests/unit
  --integration  tests/integration, against a real Redis: TEST_REDIS_URL, else a redis-server of their
                 own, else a container; without any, these tests are skipped with one line, in CI they fail
  --security     bandit, pip-audit, safety if SAFETY_API_KEY is set, secrets in tracked files, and the
                 licences of what is shipped
  --e2e          tests/e2e, against the whole stack in containers; without a container engine they are
                 skipped with one line, in CI (CI=true) that is a failure
  --quick        leave out the tests marked slow (over five seconds)
  --             pass the rest to pytest, e.g. -- -k cache -x

Unit and integration tests run side by side, one process a core, unless arguments for pytest are given.
Together they must reach 95 % branch coverage; a selection of them need not.

Exit status: 0 all passed, 1 something failed, 130 Ctrl-C.
USAGE
}

main() {
  local chosen=" "
  while (($#)); do
    case $1 in
      --lint | --unit | --integration | --security | --e2e) chosen+="${1#--} " ;;
      --quick) SELECTION=(-m "not slow") ;;
      -h | --help) usage && return ;;
      --)
        shift
        PYTEST_ARGUMENTS=("$@")
        break
        ;;
      *) fail "unknown option $1; ./scripts/run-tests.sh --help lists all options" ;;
    esac
    shift
  done
  if [[ $chosen == " " ]]; then
    chosen=" lint unit integration "
    SELECTION=(-m "not slow")
  fi

  cd "$ROOT"
  # Some tools exit normally when interrupted; no other step may begin then.
  trap 'say "Interrupted." >&2; exit 130' INT
  ensure_environment dev
  mkdir -p .run
  export PATH="$VENV/bin:$PATH"

  case $chosen in *" lint "*) lint_steps ;; esac
  case $chosen in *" lint "* | *" security "*) step bandit bandit --quiet --recursive --configfile pyproject.toml app scripts ;; esac
  case $chosen in *" security "*) security_steps ;; esac
  case $chosen in
    *" unit "*"integration "* | *" integration "*"unit "*) covered_tests ;;
    *" unit "*) step "unit tests" parallel_pytest tests/unit ;;
    *" integration "*) step "integration tests" parallel_pytest tests/integration ;;
  esac
  case $chosen in *" e2e "*) e2e_tests ;; esac
  summary
}

main "$@"
