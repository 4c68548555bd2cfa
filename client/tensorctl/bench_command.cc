#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/percentiles.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

constexpr uint64_t kSmallReadBytes = 4 << 10;
constexpr uint64_t kDefaultReadBytes = 64 << 20;  // Large enough that its start does not count.

struct Subject {
  std::string model;
  std::string tensor;
  uint64_t size_bytes = 0;
  CallOptions call;  // Pinned, so that all reads are of the same bytes.
};

// What one row of the table is about.
struct Load {
  std::string name;
  uint64_t read_bytes = 0;
  size_t num_streams = 1;
};

struct Measured {
  std::vector<double> latencies_ms;  // One a read, ascending.
  uint64_t bytes = 0;
  double seconds = 0;

  double BytesPerSecond() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

absl::StatusOr<std::string> LargestModel(const Session& session) {
  TENSORD_ASSIGN_OR_RETURN(const std::vector<ModelInfo> models,
                           session.client().ListModels("", session.call()));
  const auto largest = std::max_element(
      models.begin(), models.end(),
      [](const ModelInfo& a, const ModelInfo& b) { return a.size_bytes < b.size_bytes; });
  if (largest == models.end() || largest->size_bytes == 0) {
    return MakeError(ErrorReason::kModelNotFound, "the store has no model with data to read");
  }
  return largest->id;
}

absl::StatusOr<Subject> FindSubject(const BenchOptions& options, const Session& session) {
  Subject subject;
  subject.model = options.model;
  if (options.model.empty()) {
    TENSORD_ASSIGN_OR_RETURN(subject.model, LargestModel(session));
  }
  TENSORD_ASSIGN_OR_RETURN(subject.call, session.Pin(subject.model));
  if (options.has_tensor) {
    TENSORD_ASSIGN_OR_RETURN(
        const TensorInfo tensor,
        session.client().GetTensorInfo(subject.model, options.tensor, subject.call));
    subject.tensor = tensor.name;
    subject.size_bytes = tensor.size_bytes;
  } else {
    TENSORD_ASSIGN_OR_RETURN(const TensorList list,
                             session.client().ListTensors(subject.model, {}, subject.call));
    for (const TensorInfo& tensor : list.tensors) {
      if (tensor.size_bytes <= subject.size_bytes) continue;
      subject.tensor = tensor.name;
      subject.size_bytes = tensor.size_bytes;
    }
  }
  if (subject.size_bytes > 0) return subject;
  return MakeError(ErrorReason::kTensorNotFound,
                   absl::StrCat("model ", Quote(subject.model), " has no data to read there"));
}

// One stream after another on one thread, through the tensor and again from its beginning.
absl::Status ReadFor(const Client& client, const Subject& subject, uint64_t read_bytes,
                     uint64_t first_offset, absl::Time end, Measured& measured) {
  TENSORD_ASSIGN_OR_RETURN(AlignedBuffer memory, AlignedBuffer::Allocate(read_bytes));
  const uint64_t num_places = subject.size_bytes / read_bytes;
  for (uint64_t i = first_offset; absl::Now() < end; ++i) {
    const ReadRequest request{
        subject.tensor, {}, ByteRange{i % num_places * read_bytes, read_bytes}, memory.bytes()};
    const absl::Time begin = absl::Now();
    TENSORD_ASSIGN_OR_RETURN(const ReadReport report,
                             client.ReadMany(subject.model, {&request, 1}, nullptr, subject.call));
    if (!report.failures.empty()) return report.failures.front().status;
    measured.latencies_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
    measured.bytes += report.bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<Measured> Measure(const std::vector<Client>& clients, const Subject& subject,
                                 const Load& load, absl::Duration duration) {
  std::vector<Measured> parts(load.num_streams);
  std::vector<absl::Status> ends(load.num_streams);
  const absl::Time begin = absl::Now();
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < load.num_streams; ++i) {
      threads.emplace_back([&, i] {
        ends[i] = ReadFor(clients[i % clients.size()], subject, load.read_bytes, i,
                          begin + duration, parts[i]);
      });
    }
  }
  Measured all;
  all.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  for (size_t i = 0; i < load.num_streams; ++i) {
    TENSORD_RETURN_IF_ERROR(ends[i]);
    all.bytes += parts[i].bytes;
    all.latencies_ms.insert(all.latencies_ms.end(), parts[i].latencies_ms.begin(),
                            parts[i].latencies_ms.end());
  }
  std::sort(all.latencies_ms.begin(), all.latencies_ms.end());
  return all;
}

Json RowJson(const Load& load, const Measured& measured) {
  return {{"load", load.name},
          {"read_bytes", load.read_bytes},
          {"streams", load.num_streams},
          {"reads", measured.latencies_ms.size()},
          {"bytes_per_second", measured.BytesPerSecond()},
          {"p50_ms", Percentile(measured.latencies_ms, 50)},
          {"p90_ms", Percentile(measured.latencies_ms, 90)},
          {"p99_ms", Percentile(measured.latencies_ms, 99)}};
}

std::vector<std::string> RowCells(const Load& load, const Measured& measured) {
  const auto ms = [&](double percent) {
    return absl::StrFormat("%.2f ms", Percentile(measured.latencies_ms, percent));
  };
  return {load.name,
          HumanSize(load.read_bytes),
          absl::StrCat(load.num_streams),
          absl::StrCat(measured.latencies_ms.size()),
          absl::StrFormat("%.2f GB/s", measured.BytesPerSecond() / 1e9),
          ms(50),
          ms(90),
          ms(99)};
}

std::vector<Load> Loads(const BenchOptions& options, const Subject& subject) {
  const uint64_t wanted = options.read_bytes > 0 ? options.read_bytes : kDefaultReadBytes;
  const uint64_t large = std::min(wanted, subject.size_bytes);
  const uint64_t small = std::min(kSmallReadBytes, subject.size_bytes);
  std::vector<Load> loads = {{"throughput", large, options.num_streams}, {"latency", small, 1}};
  if (options.num_streams > 1) loads.push_back({"latency", small, options.num_streams});
  return loads;
}

}  // namespace

CommandResult RunBench(const BenchOptions& options, const Session& session) {
  TENSORD_ASSIGN_OR_RETURN(const Subject subject, FindSubject(options, session));
  std::vector<Client> clients;
  for (size_t i = 0; i < options.num_connections; ++i) {
    TENSORD_ASSIGN_OR_RETURN(Client client, session.ConnectAnew());
    clients.push_back(std::move(client));
  }
  Table table({{"LOAD"},
               {"READ", Align::kRight},
               {"STREAMS", Align::kRight},
               {"READS", Align::kRight},
               {"RATE", Align::kRight},
               {"P50", Align::kRight},
               {"P90", Align::kRight},
               {"P99", Align::kRight}});
  Json rows = Json::array();
  for (const Load& load : Loads(options, subject)) {
    TENSORD_ASSIGN_OR_RETURN(const Measured measured,
                             Measure(clients, subject, load, options.duration));
    rows.push_back(RowJson(load, measured));
    table.AddRow(RowCells(load, measured));
  }
  const Console& console = session.console();
  if (console.json()) {
    TENSORD_RETURN_IF_ERROR(console.PrintJson({{"model", subject.model},
                                               {"tensor", subject.tensor},
                                               {"size_bytes", subject.size_bytes},
                                               {"version", subject.call.version},
                                               {"connections", options.num_connections},
                                               {"loads", std::move(rows)}}));
    return ExitCode::kOk;
  }
  TENSORD_RETURN_IF_ERROR(console.Print(absl::StrCat(
      Escape(subject.model), " ", Escape(subject.tensor), ", ", HumanSize(subject.size_bytes),
      ", over ", Plural(options.num_connections, "connection"), "\n")));
  TENSORD_RETURN_IF_ERROR(console.PrintTable(table));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
