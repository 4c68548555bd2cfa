#include "src/read_runs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "tests/src/naive_slice.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using naive::Dice;

constexpr uint64_t kTensorOffset = 13;  // Of the tensor in its file.

std::shared_ptr<const ServedFile> Open(const std::string& path) {
  return *ServedFile::Open(OwnedFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)), ReadMode::kPread);
}

std::vector<std::byte> AnyBytes(Dice& dice, uint64_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(dice.Number(0, 255));
  return bytes;
}

// A file with a tensor in it.
class ReadRunsTest : public testing::Test {
 protected:
  void Write(const std::vector<std::byte>& tensor) {
    const absl::string_view bytes(reinterpret_cast<const char*>(tensor.data()), tensor.size());
    file_ = Open(dir_.Write("file", absl::StrCat(std::string(kTensorOffset, 'x'), bytes)));
  }

  // All of the plan's result, by reads of up to `step` result bytes.
  absl::StatusOr<std::vector<std::byte>> ReadAll(const std::shared_ptr<const SlicePlan>& plan,
                                                 size_t scratch_bytes, uint64_t step) {
    std::vector<std::byte> scratch(scratch_bytes);
    std::vector<std::byte> result(plan->size_bytes());
    ChunkCursor cursor(plan, 0, plan->size_bytes());
    while (cursor.remaining_bytes() > 0) {
      const absl::Span<std::byte> next = absl::MakeSpan(result).subspan(
          cursor.offset_bytes(), std::min(step, cursor.remaining_bytes()));
      const absl::Status status =
          ReadRuns(*file_, kTensorOffset, cursor, absl::MakeSpan(scratch), next);
      if (!status.ok()) return status;
    }
    return result;
  }

  const TempDir dir_;
  std::shared_ptr<const ServedFile> file_;
};

TEST_F(ReadRunsTest, AgreesWithTheNaiveIndexOnRandomSlices) {
  int num_read = 0;
  for (uint64_t seed = 1; seed <= 1'500; ++seed) {
    Dice dice(seed);
    const Dtype dtype = dice.AnyDtype();
    const Shape shape = dice.AnyShape(dtype);
    const Slice slice = dice.AnySlice(shape);
    const auto created = SlicePlan::Create(dtype, shape, slice);
    if (!created.ok() || created->size_bytes() == 0) continue;
    uint64_t bits = BitsPerElement(dtype);
    for (const uint64_t extent : shape) bits *= extent;
    const std::vector<std::byte> tensor = AnyBytes(dice, bits / 8);
    Write(tensor);
    const auto plan = std::make_shared<const SlicePlan>(*created);
    const auto wanted = naive::Bytes(dtype, tensor, naive::Index(dtype, shape, slice).elements);
    const auto scratch_bytes = static_cast<size_t>(dice.Number(0, 200));
    const auto step = static_cast<uint64_t>(dice.Number(1, 100));
    const auto got = ReadAll(plan, scratch_bytes, step);
    ASSERT_TRUE(got.ok()) << "seed " << seed << ": " << got.status();
    ASSERT_TRUE(*got == wanted) << "seed " << seed;
    ++num_read;
  }
  EXPECT_GT(num_read, 300);
}

struct Row {
  std::string name;
  std::string slice;
};

class ReadRunsOfAMatrix : public ReadRunsTest, public testing::WithParamInterface<Row> {};

TEST_P(ReadRunsOfAMatrix, AreAsGathered) {
  const Shape shape = {300, 40'000};
  Dice dice(7);
  const std::vector<std::byte> tensor = AnyBytes(dice, shape[0] * shape[1]);
  Write(tensor);
  const auto plan = std::make_shared<const SlicePlan>(
      SlicePlan::Create(Dtype::kU8, shape, Slice::Parse(GetParam().slice).value()).value());
  std::vector<std::byte> wanted(plan->size_bytes());
  ChunkCursor(plan, 0, plan->size_bytes()).Gather(tensor, absl::MakeSpan(wanted));
  for (const size_t scratch_bytes : {size_t{0}, size_t{1000}, kReadRunsScratchBytes}) {
    const auto got = ReadAll(plan, scratch_bytes, 200'000);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(*got == wanted) << scratch_bytes;
  }
}

INSTANTIATE_TEST_SUITE_P(Slices, ReadRunsOfAMatrix,
                         testing::Values(Row{"Whole", ""}, Row{"Rows", "[5:250]"},
                                         Row{"ManyElements", "[10:40, 3:30000:2]"},
                                         Row{"Backwards", "[20:10:-1, ::-3]"},
                                         Row{"LongRuns", "[:, 100:39000]"},
                                         Row{"FarApart", "[:, 17]"},
                                         Row{"Close", "[:, 100:33000:5000]"}),
                         [](const auto& row) { return row.param.name; });

TEST_F(ReadRunsTest, AFileThatEndsBeforeIsTruncated) {
  Write(std::vector<std::byte>(10'000));
  const auto plan = std::make_shared<const SlicePlan>(
      SlicePlan::Create(Dtype::kU8, {100, 100}, Slice::Parse("[:, ::2]").value()).value());
  ASSERT_EQ(truncate(dir_.Path("file").c_str(), 6'000), 0);
  const absl::Status status = ReadAll(plan, kReadRunsScratchBytes, 500).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_TRUE(IsTruncation(status)) << status;
}

}  // namespace
}  // namespace tensord
