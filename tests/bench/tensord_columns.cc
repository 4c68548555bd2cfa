// Ours: some columns of a matrix, cut out by the server, or the whole matrix fetched and cut by the
// client.
#include <cstring>
#include <iostream>
#include <string>

#include "tests/bench/tensord_options.h"

namespace tensord::bench {
namespace {

// A row-major matrix of one-byte units, and which columns of it.
struct Columns {
  uint64_t row_bytes = 0;
  uint64_t begin = 0;
  uint64_t size = 0;
};

void Cut(const std::byte* matrix, const Columns& columns, absl::Span<std::byte> destination) {
  const std::byte* from = matrix + columns.begin;
  for (uint64_t at = 0; at < destination.size(); at += columns.size, from += columns.row_bytes) {
    std::memcpy(destination.data() + at, from, columns.size);
  }
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  TensordOptions options;
  Columns columns;
  uint64_t element_bytes = 2;
  bool at_client = false;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Reads columns of a matrix; --bytes is the matrix's size");
  AddTensordOptions(app, options);
  app.add_option("--row-bytes", columns.row_bytes)->required();
  app.add_option("--begin", columns.begin, "First byte of each row to take");
  app.add_option("--columns-bytes", columns.size)->required();
  app.add_option("--element-bytes", element_bytes);
  app.add_flag("--at-client", at_client, "Fetch the whole matrix and cut it here");
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);

  const auto client = OrDie(tensord::Client::Connect(options.address, options.client));
  const uint64_t rows = subject.size_bytes / columns.row_bytes;
  const auto destination = FaultedMemory(rows * columns.size);
  const auto whole = FaultedMemory(at_client ? subject.size_bytes : 0);
  const tensord::Slice slice = OrDie(
      tensord::Slice::Parse("[:, " + std::to_string(columns.begin / element_bytes) + ":" +
                            std::to_string((columns.begin + columns.size) / element_bytes) + "]"));
  auto result = Measure(loop, destination.size(), 1, [&] {
    if (at_client) {
      OrDie(client.ReadSlice(options.model, options.tensor, {}, whole));
      Cut(whole.data(), columns, destination);
    } else {
      OrDie(client.ReadSlice(options.model, options.tensor, slice, destination));
    }
  });
  const auto wanted = FaultedMemory(destination.size());
  Cut(MapFile(subject.file).data() + subject.offset_bytes, columns, wanted);
  if (std::memcmp(wanted.data(), destination.data(), wanted.size()) != 0) {
    Die("the columns that arrived differ from " + subject.file);
  }
  std::cout << result.dump() << std::endl;
}
