# Sourced by run-tests.sh: the steps, and a function that runs one and remembers its result.
# shellcheck shell=bash

PYTEST_ARGUMENTS=()
SELECTION=()
RESULTS=()
CLOSING_LINES=()
FAILED=0

# step NAME COMMAND...: run it; a failure does not stop the steps after it
step() {
  local name=$1 start=$SECONDS status=0 result
  shift
  printf '\n%s\n' "$(colour 1 "== $name")"
  "$@" || status=$?
  if ((status == 0)); then
    result=$(colour 32 "passed")
  else
    result=$(colour 31 "FAILED")
    FAILED=1
  fi
  RESULTS+=("$(printf '%s  %5d s  %s' "$result" $((SECONDS - start)) "$name")")
}

# skipped NAME REASON: printed now, in the summary, and in a workflow on the summary page
skipped() {
  [[ -z ${GITHUB_STEP_SUMMARY:-} ]] || printf '%s is skipped: %s\n\n' "$1" "$2" >>"$GITHUB_STEP_SUMMARY"
  printf '\n%s\n' "$(colour 33 "== $1 SKIPPED: $2")"
  RESULTS+=("$(printf '%s           %s: %s' "$(colour 33 "SKIPPED")" "$1" "$2")")
}

summary() {
  printf '\n%s\n' "$(colour 1 "== Summary")"
  printf '%s\n' "${RESULTS[@]}" "${CLOSING_LINES[@]+"${CLOSING_LINES[@]}"}"
  return $FAILED
}

lint_steps() {
  step black black --check --quiet --diff .
  step flake8 flake8
  step pylint pylint --jobs=0 --recursive=y app scripts docker monitoring infrastructure
  # A test's parameter has the name of the fixture it uses.
  step "pylint tests" pylint --jobs=0 --disable=redefined-outer-name,consider-using-with,duplicate-code tests
  step mypy mypy
  step shellcheck shellcheck_step
  step actionlint actionlint
  step zizmor zizmor --offline --quiet --no-progress --persona auditor .github .pre-commit-config.yaml
  step yamllint yamllint --strict .
  step hadolint hadolint docker/Dockerfile*
  step nginx scripts/lint-nginx.sh
  step checkov scripts/lint-checkov.sh
  step terraform scripts/lint-terraform.sh
  step policies scripts/lint-policies.sh
}

shellcheck_step() {
  find . \( -name .git -o -name .venv -o -name .run -o -name node_modules \) -prune \
    -o \( -name '*.sh' -o -path ./.ci/run \) -type f -print0 | xargs -0 shellcheck --external-sources
}

# --strict: a version that could not be looked up is a failure.
security_steps() {
  step pip-audit online pip-audit --requirement requirements.txt \
    --requirement requirements-granian.txt --require-hashes --disable-pip --strict --progress-spinner off
  if [[ -n ${SAFETY_API_KEY:-} ]]; then
    step safety online safety --stage cicd scan --target .
  else
    skipped safety "it needs an account; set SAFETY_API_KEY to include it (pip-audit needs none)"
  fi
  step secrets pre-commit run --all-files secrets
  step licences licences_step
}

# Every package that is shipped has a licence that pyproject.toml allows.
licences_step() {
  local name shipped=()
  while IFS= read -r name; do shipped+=("$name"); done < <(grep -oE '^[A-Za-z0-9][A-Za-z0-9._-]*' requirements.txt)
  pip-licenses --packages "${shipped[@]}"
}

# online TOOL ARGUMENT...: run a tool that queries a service; without network, print one line
online() {
  local output=".run/$1.log" status=0
  local unreachable='could not be audited|ConnectionError|ConnectError|ProxyError|Max retries exceeded|timed out'
  "$@" >"$output" 2>&1 || status=$?
  if ((status != 0)) && grep -qE "$unreachable" "$output" && ! grep -q 'known vulnerabilit' "$output"; then
    say "$1 could not reach its vulnerability database, so nothing has been checked:" \
      "connect to the network and run this again (details: $output)"
  else
    cat "$output"
  fi
  return "$status"
}

# The coverage gate holds for all tests, not for a selection of them.
covered_tests() {
  local options=(--cov --cov-report=term)
  ((${#PYTEST_ARGUMENTS[@]})) || options+=(--cov-fail-under=95)
  step "unit and integration tests" parallel_pytest "${options[@]}" tests/unit tests/integration
}

# A file's tests share a process and their services. Arguments such as --pdb want a single process.
parallel_pytest() {
  if ((${#PYTEST_ARGUMENTS[@]})); then
    pytest_step "$@"
  else
    pytest_step --numprocesses=auto --maxprocesses=4 --dist=loadfile "${SELECTION[@]+"${SELECTION[@]}"}" "$@"
  fi
}

e2e_tests() {
  local reason="NO CONTAINER ENGINE ANSWERS: start Docker to run them"
  if docker info >/dev/null 2>&1; then
    step "end-to-end tests" pytest_step "${SELECTION[@]+"${SELECTION[@]}"}" tests/e2e
  elif [[ ${CI:-} == true ]]; then
    step "end-to-end tests: $reason" false
  else
    skipped "end-to-end tests" "$reason"
  fi
}

# pytest_step ARGUMENT...: run pytest and keep its closing line for the summary
pytest_step() {
  local log=.run/pytest.log status=0 look=()
  [[ -n $COLOURED ]] && look=(--color=yes)
  pytest "${look[@]+"${look[@]}"}" "$@" "${PYTEST_ARGUMENTS[@]+"${PYTEST_ARGUMENTS[@]}"}" 2>&1 \
    | tee -i "$log" || status=$?
  CLOSING_LINES+=("$(grep -E '=.* in [0-9.]+s' "$log" | tail -n 1)")
  return "$status"
}
