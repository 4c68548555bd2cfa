// A small store on disk for the tests of calls.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/catalog.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {

class StoreTest : public testing::Test {
 protected:
  // `path` relative to the store, e.g. "gpt2/model.safetensors".
  void Write(const std::string& path, const std::vector<TestTensor>& tensors,
             const TestMetadata& metadata = {}) {
    WriteSafetensors(store_.Path(path), tensors, metadata);
  }

  // A picture of the store as it is now.
  std::shared_ptr<const Catalog> Load() {
    auto catalog = Catalog::Load({{"", store_.path()}}, 2);
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    return *catalog;
  }

  TempDir store_;
};

// The page after `response` of the same listing.
template <typename Request, typename Response>
Request NextPage(Request request, const Response& response) {
  request.set_page_token(response.next_page_token());
  return request;
}

MATCHER_P(HasReason, reason, std::string(ErrorReasonName(reason))) {
  *result_listener << arg;
  return ReasonOf(arg) == reason;
}

MATCHER_P2(HasReason, reason, text, std::string(ErrorReasonName(reason)) + " saying " + text) {
  *result_listener << arg;
  return ReasonOf(arg) == reason && std::string(arg.message()).find(text) != std::string::npos;
}

}  // namespace tensord
