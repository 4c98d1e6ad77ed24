#!/usr/bin/env bash
# checkov 3.3.30: an ElastiCache group whose auth token is write-only counts as one without a token.
#
# `auth_token_wo` keeps the token out of the state, which `auth_token` does not. CKV_AWS_31 looks for `auth_token` and
# `user_group_ids` alone, so it fails the safer form and passes the other one.
#
# Expected: both pass.
# Seen (2026-11-30, checkov 3.3.30 from PyPI): auth_token passes, auth_token_wo fails.
# Source: checkov/terraform/checks/resource/aws/ElasticacheReplicationGroupEncryptionAtTransitAuthToken.py; the argument is in
# the AWS provider 6.69.1, of which cdktn-provider-aws 25.8.1 has the schema.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check checkov==3.3.30

# The result of a group with this argument
result() {
  cat >"$folder/main.tf" <<HCL
resource "aws_elasticache_replication_group" "redis" {
  replication_group_id       = "redis"
  description                = "An example"
  transit_encryption_enabled = true
  $1 = "0123456789abcdef"
}
HCL
  "$folder/environment/bin/python" -m checkov.main --file "$folder/main.tf" --framework terraform --check CKV_AWS_31 \
    --compact --soft-fail --skip-download | grep -oE '(Passed|Failed) checks: 1'
}

plain=$(result auth_token)
write_only=$(result auth_token_wo)
echo "auth_token: $plain; auth_token_wo: $write_only"
[[ $plain == "Passed checks: 1" && $write_only == "Failed checks: 1" ]]
echo "as described"
