#!/usr/bin/env bash
# Includes point down only: server and client -> proto -> src -> src/include; the public headers know neither gRPC nor
# Protobuf. Prints every include that breaks the rule.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

# forbid DIRECTORY PATTERN WHY
forbid() {
  local found
  found=$(grep -rnE "^ *#include *[<\"]($2)" "$1" --include='*.h' --include='*.cc' || true)
  [ -z "$found" ] || { echo "$3:"; echo "$found"; failed=1; }
}

rpc='grpc|google/protobuf|tensord/v1/|google/rpc|proto/'
forbid src "$rpc|server/|client/|tensord/client" "the core includes something above it"
forbid src/include "src/|spdlog|rapidjson|nlohmann|openssl" "a public header includes something private"
forbid client/include "$rpc|src/|server/|client/|spdlog|rapidjson|nlohmann|openssl" "a public header includes something private"
forbid proto "server/|client/|tensord/client" "the wire includes something above it"
forbid server "client/|tensord/client" "the server includes the client"
forbid client "server/" "the client includes the server"
[ $failed -eq 0 ] && echo "layering: $(find src proto server client -name '*.h' -o -name '*.cc' | wc -l) files, includes point down"
exit $failed
