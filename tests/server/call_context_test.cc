#include "server/call_context.h"

#include <google/protobuf/descriptor.h>

#include <string>

#include "gtest/gtest.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

TEST(CallMethod, NamesAreThoseOfTheService) {
  const google::protobuf::ServiceDescriptor* service =
      v1::ListModelsRequest::descriptor()->file()->FindServiceByName("TensorStore");
  ASSERT_NE(service, nullptr);
  ASSERT_EQ(static_cast<size_t>(service->method_count()), kNumCallMethods);
  for (size_t i = 0; i < kNumCallMethods; ++i) {
    const std::string name(CallMethodName(static_cast<CallMethod>(i)));
    EXPECT_NE(service->FindMethodByName(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace tensord
