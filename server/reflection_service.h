// Server reflection, so that grpcurl and its like need no proto file.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "server/access.h"
#include "server/active_streams.h"

namespace tensord {

// `grpc.reflection.v1.ServerReflection` over the descriptors linked into this binary. Lists
// `services` and itself. A service of our own and not libgrpc++_reflection: that one switches
// reflection on for every server of the process, asks nobody for credentials, and speaks v1alpha
// only. `access` and `calls`, which counts them, must outlive it. Thread-safe.
std::unique_ptr<grpc::Service> MakeReflectionV1(std::vector<std::string> services,
                                                const Access* access, ActiveStreams* calls);

// The same under its older name, `grpc.reflection.v1alpha`, for older tools.
std::unique_ptr<grpc::Service> MakeReflectionV1Alpha(std::vector<std::string> services,
                                                     const Access* access, ActiveStreams* calls);

}  // namespace tensord
