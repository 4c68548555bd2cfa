#include "server/get_metadata.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "src/utf8.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

using Entries = std::map<std::string, std::string>;

class GetMetadataTest : public StoreTest {
 protected:
  static v1::GetMetadataRequest For(const std::string& model) {
    v1::GetMetadataRequest request;
    request.set_model(model);
    return request;
  }

  // All pages; checks that each is smaller than gRPC allows and within the page size.
  static std::vector<v1::GetMetadataResponse> Pages(const Catalog& catalog,
                                                    v1::GetMetadataRequest request) {
    std::vector<v1::GetMetadataResponse> pages;
    do {
      auto page = GetMetadata(catalog, request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->ByteSizeLong(), size_t{3} << 20);
      request.set_page_token(page->next_page_token());
      pages.push_back(*std::move(page));
      if (pages.size() > 10'000) ADD_FAILURE() << "the pages do not end";
    } while (!request.page_token().empty() && pages.size() <= 10'000);
    return pages;
  }

  // Every entry of every file, each of which comes exactly once.
  static std::map<std::string, Entries> Collect(const std::vector<v1::GetMetadataResponse>& pages) {
    std::map<std::string, Entries> files;
    for (const auto& page : pages) {
      for (const auto& file : page.files()) {
        Entries& entries = files[file.name()];
        for (const auto& entry : file.metadata().entries()) {
          EXPECT_TRUE(entries.emplace(entry.key(), entry.value()).second) << entry.key();
        }
      }
    }
    return files;
  }

  // One value piece by piece, as a client reads one of any size.
  static std::string ReadValue(const Catalog& catalog, const std::string& model,
                               const std::string& key, uint32_t max_value_bytes) {
    auto request = For(model);
    request.add_keys(key);
    request.set_max_value_bytes(max_value_bytes);
    std::string value;
    while (true) {
      request.set_value_offset(value.size());
      const auto response = GetMetadata(catalog, request);
      EXPECT_TRUE(response.ok()) << response.status();
      if (!response.ok()) return value;
      const v1::MetadataEntry& entry = response->files(0).metadata().entries(0);
      EXPECT_TRUE(IsValidUtf8(entry.value()));
      value += entry.value();
      if (value.size() >= entry.value_bytes()) return value;
      if (entry.value().empty()) {
        ADD_FAILURE() << "no progress at " << value.size();
        return value;
      }
    }
  }
};

const std::vector<TestTensor> kOne = {{"w", Dtype::kF32, {2}, ""}};

TEST_F(GetMetadataTest, DescribesModelFilesAndSideFiles) {
  Write("m/model.safetensors", kOne, Entries{{"format", "pt"}, {"k", ""}});
  WriteBytes(store_.Path("m/config.json"), "{}");
  WriteBytes(store_.Path("m/code.py"), "exit()");
  const auto response = GetMetadata(*Load(), For("m"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model().id(), "m/model");
  EXPECT_FALSE(response->has_tensor());
  ASSERT_THAT(response->files(), SizeIs(1));
  const v1::FileInfo& file = response->files(0);
  EXPECT_EQ(file.name(), "model.safetensors");
  EXPECT_EQ(file.size_bytes(), std::filesystem::file_size(store_.Path("m/model.safetensors")));
  EXPECT_EQ(file.header_bytes(), file.size_bytes() - 8 - 8);
  EXPECT_EQ(file.num_tensors(), 1u);
  EXPECT_EQ(file.metadata().num_entries(), 2u);
  ASSERT_THAT(file.metadata().entries(), SizeIs(2));
  EXPECT_EQ(file.metadata().entries(0).key(), "format");
  EXPECT_EQ(file.metadata().entries(0).value(), "pt");
  EXPECT_EQ(file.metadata().entries(0).value_bytes(), 2u);
  ASSERT_THAT(response->side_files(), SizeIs(1));
  EXPECT_EQ(response->side_files(0).name(), "config.json");
  EXPECT_EQ(response->side_files(0).size_bytes(), 2u);
  EXPECT_EQ(response->next_page_token(), "");
}

TEST_F(GetMetadataTest, TellsAbsentFromEmpty) {
  Write("absent.safetensors", kOne);
  Write("empty.safetensors", kOne, Entries{});
  WriteBytes(store_.Path("null.safetensors"), FileOf(R"({"__metadata__":null})", ""));
  const auto catalog = Load();
  EXPECT_FALSE(GetMetadata(*catalog, For("absent"))->files(0).has_metadata());
  EXPECT_FALSE(GetMetadata(*catalog, For("null"))->files(0).has_metadata());
  ASSERT_TRUE(GetMetadata(*catalog, For("empty"))->files(0).has_metadata());
  EXPECT_EQ(GetMetadata(*catalog, For("empty"))->files(0).metadata().num_entries(), 0u);
}

TEST_F(GetMetadataTest, DescribesATensorAlone) {
  Write("m.safetensors", kOne, Entries{{"format", "pt"}});
  auto request = For("m");
  request.set_tensor("w");
  const auto response = GetMetadata(*Load(), request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model().id(), "m");
  EXPECT_EQ(response->tensor().name(), "w");
  EXPECT_THAT(response->tensor().shape(), ElementsAre(2));
  EXPECT_THAT(response->files(), SizeIs(0));
  request.set_tensor("");  // A name like any other, and not here.
  EXPECT_THAT(GetMetadata(*Load(), request).status(), HasReason(ErrorReason::kTensorNotFound));
  request.set_tensor("w");
  request.set_page_token("x");
  EXPECT_THAT(GetMetadata(*Load(), request).status(), HasReason(ErrorReason::kBadPageToken));
}

TEST_F(GetMetadataTest, OnlyTheKeysAskedFor) {
  Write("m.safetensors", kOne, Entries{{"a", "1"}, {"b", "2"}, {"c", "3"}});
  auto request = For("m");
  request.add_keys("c");
  request.add_keys("a");
  request.add_keys("missing");
  const auto response = GetMetadata(*Load(), request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->files(0).metadata().num_entries(), 3u);
  EXPECT_EQ(Collect({*response})["m.safetensors"], (Entries{{"a", "1"}, {"c", "3"}}));
}

TEST_F(GetMetadataTest, ValuesAreCutAtACharacter) {
  Write("m.safetensors", kOne, Entries{{"k", "\u6f22\u6f22\u6f22"}});  // 3 bytes each.
  auto request = For("m");
  request.set_max_value_bytes(7);
  const auto response = GetMetadata(*Load(), request);
  EXPECT_EQ(response->files(0).metadata().entries(0).value(), "\u6f22\u6f22");
  EXPECT_EQ(response->files(0).metadata().entries(0).value_bytes(), 9u);
  for (const uint32_t max : {1u, 2u, 3u, 4u, 8u, 9u, 0u, UINT32_MAX}) {
    EXPECT_EQ(ReadValue(*Load(), "m", "k", max), "\u6f22\u6f22\u6f22") << max;
  }
}

TEST_F(GetMetadataTest, ValueOffsetWantsOneKeyAndACharacter) {
  Write("m.safetensors", kOne, Entries{{"k", "\u6f22x"}});
  const auto catalog = Load();
  auto request = For("m");
  request.set_value_offset(3);
  EXPECT_THAT(GetMetadata(*catalog, request).status(),
              HasReason(ErrorReason::kBadRequest, "exactly one"));
  request.add_keys("k");
  EXPECT_EQ(GetMetadata(*catalog, request)->files(0).metadata().entries(0).value(), "x");
  for (const uint64_t end : {uint64_t{4}, uint64_t{5}, UINT64_MAX}) {
    request.set_value_offset(end);
    const auto response = GetMetadata(*catalog, request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->files(0).metadata().entries(0).value(), "");
    EXPECT_EQ(response->files(0).metadata().entries(0).value_bytes(), 4u);
  }
  request.set_value_offset(1);
  EXPECT_THAT(GetMetadata(*catalog, request).status(),
              HasReason(ErrorReason::kBadRequest, "within a character"));
  request.add_keys("k2");
  EXPECT_THAT(GetMetadata(*catalog, request).status(), HasReason(ErrorReason::kBadRequest));
}

TEST_F(GetMetadataTest, LoraMetadataAboveFourMebibytesIsReadCompletely) {
  Entries metadata;
  for (int i = 0; i < 3000; ++i) {
    metadata[absl::StrCat("ss_", i)] = std::string(1000 + i, static_cast<char>('a' + i % 26));
  }
  std::string tags;
  while (tags.size() < 6'000'000) absl::StrAppend(&tags, "{\"\u6f22\": ", tags.size(), "}, ");
  metadata["ss_tag_frequency"] = tags;
  Write("lora.safetensors", kOne, metadata);
  const auto catalog = Load();

  auto request = For("lora");
  request.set_max_value_bytes(1 << 20);
  request.set_page_size(10'000);
  const auto pages = Pages(*catalog, request);
  EXPECT_GT(pages.size(), 5u);
  Entries got = Collect(pages)["lora.safetensors"];
  EXPECT_EQ(got.size(), metadata.size());
  got["ss_tag_frequency"] = ReadValue(*catalog, "lora", "ss_tag_frequency", 0);
  EXPECT_EQ(got, metadata);
  EXPECT_EQ(ReadValue(*catalog, "lora", "ss_tag_frequency", UINT32_MAX), tags);
}

TEST_F(GetMetadataTest, EveryPageSizeGivesEveryFileAndEntryOnce) {
  std::map<std::string, Entries> wanted;
  for (int i = 1; i <= 5; ++i) {
    const std::string name = absl::StrCat("model-0000", i, "-of-00005.safetensors");
    Entries& entries = wanted[name];
    for (int k = 0; k < (i - 1) * 2; ++k) entries[absl::StrCat("key", k)] = absl::StrCat(i);
    const TestMetadata metadata = i == 1 ? TestMetadata() : TestMetadata(entries);
    Write("m/" + name, {{absl::StrCat("w", i), Dtype::kU8, {1}, "x"}}, metadata);
  }
  const auto catalog = Load();
  for (const uint32_t page_size : {1u, 2u, 3u, 7u, 24u, 25u, 26u, 0u}) {
    auto request = For("m");
    request.set_page_size(page_size);
    const auto pages = Pages(*catalog, request);
    EXPECT_EQ(Collect(pages), wanted) << page_size;
    for (const auto& page : pages) {
      size_t num_items = page.files_size();
      for (const auto& file : page.files()) num_items += file.metadata().entries_size();
      EXPECT_TRUE(page_size == 0 || num_items <= page_size + 1) << num_items;
      EXPECT_GT(num_items, 0u);
    }
  }
}

TEST_F(GetMetadataTest, AnOffsetThatOnlyOneFileCanBeCutAtShowsThatOne) {
  Write("m/model-1-of-2.safetensors", {{"a", Dtype::kU8, {1}, "x"}}, Entries{{"k", "abcd"}});
  Write("m/model-2-of-2.safetensors", {{"b", Dtype::kU8, {1}, "x"}}, Entries{{"k", "\u6f22"}});
  auto request = For("m");
  request.add_keys("k");
  request.set_value_offset(2);
  const auto response = GetMetadata(*Load(), request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(Collect({*response})["model-1-of-2.safetensors"], (Entries{{"k", "cd"}}));
  EXPECT_EQ(Collect({*response})["model-2-of-2.safetensors"], Entries());
}

TEST_F(GetMetadataTest, LongKeysAreCut) {
  const std::string key(200'000, 'k');
  Write("m.safetensors", kOne, Entries{{key, "v"}});
  const auto response = GetMetadata(*Load(), For("m"));
  EXPECT_EQ(response->files(0).metadata().entries(0).key().size(), kMaxKeyBytes);
  auto request = For("m");
  request.add_keys(key);
  EXPECT_EQ(GetMetadata(*Load(), request)->files(0).metadata().entries(0).value(), "v");
}

TEST_F(GetMetadataTest, MissingFilesAreListed) {
  WriteBytes(store_.Path("m/model.safetensors.index.json"),
             IndexJson({{"w", "a.safetensors"}, {"x", "b.safetensors"}}));
  Write("m/a.safetensors", kOne, Entries{{"k", "v"}});
  const auto response = GetMetadata(*Load(), For("m"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model().state(), v1::MODEL_STATE_INCOMPLETE);
  ASSERT_THAT(response->files(), SizeIs(2));
  EXPECT_EQ(response->files(1).name(), "b.safetensors");
  EXPECT_EQ(response->files(1).size_bytes(), 0u);
  EXPECT_FALSE(response->files(1).has_metadata());
  auto request = For("m");
  request.set_tensor("x");
  EXPECT_THAT(GetMetadata(*Load(), request).status(), HasReason(ErrorReason::kShardMissing));
}

TEST_F(GetMetadataTest, ManySideFilesOverflowToFurtherPages) {
  Write("m/model.safetensors", kOne, Entries{{"k", "v"}});
  constexpr int kNumSideFiles = 5'000;
  for (int i = 0; i < kNumSideFiles; ++i) {
    WriteBytes(store_.Path(absl::StrCat("m/model.", std::string(230, 'x'), i, ".json")), "{}");
  }
  const auto pages = Pages(*Load(), For("m"));
  EXPECT_GT(pages.size(), 1u);
  std::set<std::string> names;
  for (const auto& page : pages) {
    for (const auto& file : page.side_files()) EXPECT_TRUE(names.insert(file.name()).second);
  }
  EXPECT_THAT(names, SizeIs(kNumSideFiles));
  EXPECT_EQ(Collect(pages)["model.safetensors"], (Entries{{"k", "v"}}));
}

TEST_F(GetMetadataTest, TokensOfOtherRequestsAreRefused) {
  Write("m.safetensors", kOne, Entries{{"a", "1"}, {"b", "2"}});
  auto request = For("m");
  request.set_page_size(1);
  const auto good = NextPage(request, *GetMetadata(*Load(), request));
  ASSERT_FALSE(good.page_token().empty());
  EXPECT_TRUE(GetMetadata(*Load(), good).ok());
  const auto catalog = Load();
  const auto refused = [&](auto change) {
    auto changed = good;
    change(changed);
    EXPECT_THAT(GetMetadata(*catalog, changed).status(), HasReason(ErrorReason::kBadPageToken));
  };
  refused([](auto& r) { r.add_keys("a"); });
  refused([](auto& r) { r.set_max_value_bytes(5); });
  refused([](auto& r) { r.set_page_token("nonsense"); });
  Write("m.safetensors", {{"v", Dtype::kF32, {3}, ""}}, Entries{{"a", "1"}, {"b", "2"}});
  EXPECT_THAT(GetMetadata(*Load(), good).status(), HasReason(ErrorReason::kVersionChanged));
}

}  // namespace
}  // namespace tensord
