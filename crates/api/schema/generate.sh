#!/usr/bin/env bash
# Makes table.tsv: the facts about Kubernetes' types that decoding, patches, apply, protobuf and OpenAPI go by.
#
#   ./generate.sh https://127.0.0.1:6443 TOKEN
#
# The Go types come from the module k8s.io/api of go.mod's version; list types, defaults, enums and required
# fields from the OpenAPI of a real kube-apiserver of the same version at the given address.
set -euo pipefail
cd "$(dirname "$0")"
server=$1 token=$2
documents=$(mktemp -d)
trap 'rm -rf "$documents"' EXIT
for path in api/v1 apis/apps/v1 apis/autoscaling/v1 apis/discovery.k8s.io/v1 apis/networking.k8s.io/v1 \
  apis/coordination.k8s.io/v1 apis/events.k8s.io/v1 apis/authentication.k8s.io/v1 apis/authorization.k8s.io/v1 apis/policy/v1 \
  apis/batch/v1 apis/rbac.authorization.k8s.io/v1 apis/scheduling.k8s.io/v1; do
  curl -ksSf -H "Authorization: Bearer $token" "$server/openapi/v3/$path" > "$documents/${path//\//_}.json"
done
go run . "$documents"/*.json > table.tsv.new
mv table.tsv.new table.tsv
