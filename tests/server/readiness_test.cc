#include "server/readiness.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace tensord {
namespace {

class ReadinessTest : public testing::Test {
 protected:
  ReadinessTest() : store_(testing::TempDir() + "/readiness") {
    std::filesystem::remove_all(store_);
    std::filesystem::create_directories(store_);
  }

  // A file of one tensor.
  void Write(const std::string& name) const {
    const std::string header = R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
    std::ofstream file(store_ + "/" + name, std::ios::binary);
    const uint64_t size = header.size();
    file.write(reinterpret_cast<const char*>(&size), sizeof(size));
    file << header << 'x';
  }

  std::shared_ptr<const Catalog> Scan() const { return *Catalog::Load({{"", store_}}, 1); }

  const std::string store_;
};

TEST_F(ReadinessTest, WantsNothingByDefault) {
  Readiness readiness({});
  EXPECT_EQ(readiness.missing(), "the first scan is not done");
  EXPECT_TRUE(readiness.Update(*Scan()));
  EXPECT_EQ(readiness.missing(), "");
}

TEST_F(ReadinessTest, WaitsForSoManyModelsAndStaysReady) {
  Readiness readiness({{}, 1});
  EXPECT_FALSE(readiness.Update(*Scan()));
  EXPECT_EQ(readiness.missing(), "0 of 1 models are there");
  Write("a.safetensors");
  EXPECT_TRUE(readiness.Update(*Scan()));
  std::filesystem::remove(store_ + "/a.safetensors");
  EXPECT_TRUE(readiness.Update(*Scan()));
}

TEST_F(ReadinessTest, WaitsForNamedModelsToBeComplete) {
  Readiness readiness({{"m"}, 0});
  Write("a.safetensors");
  EXPECT_FALSE(readiness.Update(*Scan()));
  EXPECT_EQ(readiness.missing().find("model \"m\" "), 0u) << readiness.missing();
  Write("m-00001-of-00002.safetensors");
  EXPECT_FALSE(readiness.Update(*Scan()));
  EXPECT_EQ(readiness.missing(), "model \"m\" is not complete");
  std::filesystem::remove(store_ + "/m-00001-of-00002.safetensors");
  Write("m.safetensors");
  EXPECT_TRUE(readiness.Update(*Scan()));
}

}  // namespace
}  // namespace tensord
