#include "cache/torch_zip.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>

namespace l2c::test {

namespace {

template <typename Integer>
std::string little(Integer value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

std::uint32_t crc32(const std::string& data) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : data) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// A zip archive without compression, entries aligned to 64 bytes as torch.save does it.
class Zip {
 public:
  void add(const std::string& name, const std::string& data) {
    const std::string sizes = little(crc32(data), 4) + little(data.size(), 4) +
                              little(data.size(), 4) + little(name.size(), 2);
    const std::size_t offset = bytes_.size();
    const std::size_t unpadded = offset + 30 + name.size() + 4;
    const std::size_t padding = (64 - unpadded % 64) % 64;
    bytes_ += "PK\3\4" + little(20, 2) + little(0, 2) + little(0, 2) + little(0, 4) + sizes +
              little(padding + 4, 2) + name + "FB" + little(padding, 2) +
              std::string(padding, 'Z') + data;
    directory_ += "PK\1\2" + little(20, 2) + little(20, 2) + little(0, 2) + little(0, 2) +
                  little(0, 4) + sizes + little(0, 2) + little(0, 2) + little(0, 2) + little(0, 2) +
                  little(0, 4) + little(offset, 4) + name;
    ++entries_;
  }
  [[nodiscard]] std::string finish() const {
    return bytes_ + directory_ + "PK\5\6" + little(0, 4) + little(entries_, 2) +
           little(entries_, 2) + little(directory_.size(), 4) + little(bytes_.size(), 4) +
           little(0, 2);
  }

 private:
  std::string bytes_;
  std::string directory_;
  int entries_ = 0;
};

std::string text(const std::string& value) { return 'X' + little(value.size(), 4) + value; }

std::string whole(std::int64_t value) { return 'J' + little(value, 4); }

std::string real(double value) {
  std::string bytes = little(std::bit_cast<std::uint64_t>(value), 8);
  return 'G' + std::string(bytes.rbegin(), bytes.rend());
}

std::string number(double value) {
  const auto rounded = static_cast<std::int64_t>(value);
  return static_cast<double>(rounded) == value ? whole(rounded) : real(value);
}

// torch._utils._rebuild_tensor_v2(storage, 0, (n,), (1,), False, OrderedDict())
std::string tensor(const std::string& storage, std::size_t size) {
  const std::string count = whole(static_cast<std::int64_t>(size));
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text(storage) + text("cuda:0") + count + "tQ" + whole(0) + count + '\x85' + whole(1) +
         '\x85' + '\x89' + "ccollections\nOrderedDict\n)RtR";
}

}  // namespace

void write_published(const std::filesystem::path& path, const PublishedFile& file) {
  Zip zip;
  std::string rows = "ccollections\nOrderedDict\n)R(";
  std::vector<std::string> storages;
  for (const auto& [name, logits] : file.rows) {
    rows += text(name) + tensor(std::to_string(storages.size()), logits.size());
    std::string bytes(logits.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), logits.data(), bytes.size());
    storages.push_back(bytes);
  }
  rows += "u";
  std::string pickle = std::string("\x80\x02");
  pickle += file.bare ? rows : "}(" + text("routers") + rows;
  if (!file.args.empty()) {
    pickle += text("args") + "cargparse\nNamespace\n)\x81}(";
    for (const auto& [name, value] : file.args) pickle += text(name) + number(value);
    if (!file.model.empty()) pickle += text("model") + text(file.model);
    pickle += "ub";
  }
  pickle += file.bare ? "." : "u.";
  zip.add("archive/data.pkl", pickle);
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < storages.size(); ++i) {
    zip.add("archive/data/" + std::to_string(i), storages[i]);
  }
  zip.add("archive/version", "3\n");
  std::ofstream(path, std::ios::binary) << zip.finish();
}

}  // namespace l2c::test
