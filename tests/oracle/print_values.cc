// Prints what DecodeValues makes of standard input, one number a line, doubles in hex: for
// dtype_oracle_test.py. usage: print_values DTYPE < BYTES
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "src/decode_values.h"

namespace {

void Print(double value) { std::printf("%a\n", value); }
void Print(int64_t value) { std::printf("%lld\n", static_cast<long long>(value)); }
void Print(uint64_t value) { std::printf("%llu\n", static_cast<unsigned long long>(value)); }

}  // namespace

int main(int argc, char** argv) {
  const auto dtype = argc == 2 ? tensord::ParseDtype(argv[1]) : std::nullopt;
  if (!dtype) {
    std::fprintf(stderr, "usage: print_values DTYPE < BYTES\n");
    return 2;
  }
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  const absl::Span<const std::byte> bytes(reinterpret_cast<const std::byte*>(input.data()),
                                          input.size());
  const size_t num_elements = bytes.size() * 8 / tensord::BitsPerElement(*dtype);
  const tensord::Values values = tensord::DecodeValues(*dtype, bytes, num_elements);
  std::visit(
      [](const auto& list) {
        for (const auto value : list) Print(value);
      },
      values);
}
