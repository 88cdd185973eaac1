// Takes an archive apart, changes one entry, and packs it again.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "mutators.h"
#include "support/byte_files.h"

namespace l2c::fuzz {

namespace {

constexpr std::size_t most_unpacked = std::size_t{1} << 20;
constexpr std::size_t most_entries = 64;

// Reads fields out of a file that may end anywhere.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  [[nodiscard]] T get(std::size_t at) {
    T value{};
    const std::string_view field = text(at, sizeof value);
    if (whole_) std::memcpy(&value, field.data(), sizeof value);
    return value;
  }
  std::string_view text(std::size_t at, std::size_t size) {
    if (at > bytes_.size() || size > bytes_.size() - at) {
      whole_ = false;
      return {};
    }
    return bytes_.substr(at, size);
  }
  // Whether all that was asked for lies within the file.
  [[nodiscard]] bool whole() const { return whole_; }

 private:
  std::string_view bytes_;
  bool whole_ = true;
};

std::optional<std::string> inflated(std::string_view packed, std::size_t size) {
  constexpr int raw = -15;
  if (size > most_unpacked) return std::nullopt;
  std::string content(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, raw) != Z_OK) return std::nullopt;
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(content.data());
  stream.avail_out = static_cast<uInt>(content.size());
  const bool ended = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  inflateEnd(&stream);
  return ended ? std::optional(std::move(content)) : std::nullopt;
}

// Of the table of contents, without its zip64 form. Empty: not such an archive.
test::ZipEntries entries_of(std::string_view bytes) {
  test::ZipEntries entries;
  Fields fields(bytes);
  const std::size_t end = bytes.rfind("PK\5\6");
  if (end == bytes.npos) return {};
  const std::size_t count = fields.get<std::uint16_t>(end + 10);
  std::size_t at = fields.get<std::uint32_t>(end + 16);
  for (std::size_t i = 0; i < std::min(count, most_entries); ++i) {
    const auto method = fields.get<std::uint16_t>(at + 10);
    const auto packed_size = fields.get<std::uint32_t>(at + 20);
    const auto size = fields.get<std::uint32_t>(at + 24);
    const std::size_t name = fields.get<std::uint16_t>(at + 28);
    const std::size_t header = fields.get<std::uint32_t>(at + 42);
    const std::size_t start = header + 30 + fields.get<std::uint16_t>(header + 26) +
                              fields.get<std::uint16_t>(header + 28);
    const std::string_view packed = fields.text(start, packed_size);
    auto content = method == 0 ? std::string(packed) : inflated(packed, size);
    if (!fields.whole() || !content) return {};
    entries.emplace_back(fields.text(at + 46, name), std::move(*content));
    at += 46 + name + fields.get<std::uint16_t>(at + 30) + fields.get<std::uint16_t>(at + 32);
  }
  return fields.whole() ? entries : test::ZipEntries{};
}

// Mostly the pickled part: the others are plain data.
std::size_t choose(const test::ZipEntries& entries, Random& random) {
  const auto program = std::ranges::find_if(
      entries, [](const auto& entry) { return entry.first.ends_with("data.pkl"); });
  if (program != entries.end() && random() % 4 != 0) {
    return static_cast<std::size_t>(program - entries.begin());
  }
  return random() % entries.size();
}

}  // namespace

std::string mutated_zip(std::string_view bytes, std::size_t most, Random& random,
                        const Mutate& mutate) {
  if (bytes.substr(0, 2) != "PK") return {};
  test::ZipEntries entries = entries_of(bytes);
  if (entries.empty()) return {};
  const std::size_t chosen = choose(entries, random);
  auto& [name, content] = entries[chosen];
  switch (random() % 16) {
    case 0:
      name = mutate(name, 2 * name.size() + 8);
      break;
    case 1:
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(chosen));
      break;
    default:
      content = mutate(content, std::max(content.size(), most - std::min(most, bytes.size())) + 64);
  }
  const auto form = random() % 16;
  return form == 0 ? test::make_zip(entries, true)
                   : (form < 4 ? test::make_deflated_zip(entries) : test::make_zip(entries));
}

}  // namespace l2c::fuzz
