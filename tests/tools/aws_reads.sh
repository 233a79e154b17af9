#!/usr/bin/env bash
# Configuration, policies and identity of a function, with the AWS CLI alone: the shell script that people have for this.
#
#     aws_reads.sh FUNCTION OUT_DIR
#
# One `aws` process for each question, each after the one before. Endpoint and keys come from the environment. Prints the number of calls.
set -euo pipefail
function=$1 out=$2 calls=0
ask() {
  local name=$1
  shift
  calls=$((calls + 1))
  # That there is nothing is an answer as well.
  aws "$@" --output json >"$out/$name.json" 2>"$out/$name.err" || true
}
text() { sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p" "$out/$1.json"; }

ask caller sts get-caller-identity
ask function lambda get-function --function-name "$function"
for command in get-function-concurrency get-policy list-versions-by-function list-aliases list-function-url-configs \
  list-event-source-mappings list-function-event-invoke-configs list-provisioned-concurrency-configs get-runtime-management-config \
  get-function-recursion-config get-function-code-signing-config; do
  ask "$command" lambda "$command" --function-name "$function"
done
for qualifier in $(text list-aliases Name) $(text list-versions-by-function Version | grep -v LATEST); do
  ask "function-$qualifier" lambda get-function --function-name "$function" --qualifier "$qualifier"
  ask "policy-$qualifier" lambda get-policy --function-name "$function" --qualifier "$qualifier"
done
role=$(text function Role | head -n 1)
role=${role##*/}
ask role iam get-role --role-name "$role"
ask inline iam list-role-policies --role-name "$role"
ask attached iam list-attached-role-policies --role-name "$role"
ask profiles iam list-instance-profiles-for-role --role-name "$role"
ask tags iam list-role-tags --role-name "$role"
for name in $(tr -d ' ",' <"$out/inline.json" | grep -v '[][{}]'); do
  ask "inline-$name" iam get-role-policy --role-name "$role" --policy-name "$name"
done
for arn in $(text attached PolicyArn) $(text role PermissionsBoundaryArn); do
  name=${arn##*/}
  ask "managed-$name" iam get-policy --policy-arn "$arn"
  ask "versions-$name" iam list-policy-versions --policy-arn "$arn"
  for version in $(text "versions-$name" VersionId); do
    ask "managed-$name-$version" iam get-policy-version --policy-arn "$arn" --version-id "$version"
  done
done
echo "$calls"
