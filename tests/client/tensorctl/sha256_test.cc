#include "client/tensorctl/sha256.h"

#include <gtest/gtest.h>

namespace tensord::ctl {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, OfPiecesIsThatOfTheWhole) {
  Sha256 digest;
  digest.Update("a");
  digest.Update("");
  digest.Update("bc");
  EXPECT_EQ(digest.Finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfNothing) {
  EXPECT_EQ(Sha256().Finish(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace tensord::ctl
