#include "l2c/io/png_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "png_chunks.h"

namespace l2c::io {

namespace {

constexpr std::size_t longest_keyword = 79;

bool is_keyword_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || letter == ' ';
}

void check_keyword(std::string_view keyword) {
  const bool good = !keyword.empty() && keyword.size() <= longest_keyword &&
                    keyword.front() != ' ' && keyword.back() != ' ' &&
                    std::all_of(keyword.begin(), keyword.end(), is_keyword_letter);
  if (good) return;
  throw InputError(fmt::format(
      "\"{}\" cannot be the keyword of a PNG text: give 1 to {} letters, digits and inner spaces",
      keyword, longest_keyword));
}

void check_text(std::string_view text) {
  if (text.size() > most_png_text) {
    throw InputError(
        fmt::format("a PNG text of {} bytes: {} are the most", text.size(), most_png_text));
  }
  constexpr unsigned last_ascii = 0x7F;
  const auto bad = std::find_if(text.begin(), text.end(), [](char letter) {
    const auto code = static_cast<unsigned char>(letter);
    return code == 0 || code > last_ascii;
  });
  if (bad == text.end()) return;
  throw InputError(fmt::format("a PNG text has to be ASCII without zero bytes; byte {} is {:#04x}",
                               bad - text.begin(), static_cast<unsigned char>(*bad)));
}

void add_big_endian(std::vector<std::uint8_t>& bytes, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) {
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

std::vector<std::uint8_t> text_chunk(std::string_view keyword, std::string_view text) {
  std::string data(keyword);
  data += '\0';
  data += text;
  std::vector<std::uint8_t> chunk;
  add_big_endian(chunk, static_cast<std::uint32_t>(data.size()));
  constexpr std::string_view type = "tEXt";
  chunk.insert(chunk.end(), type.begin(), type.end());
  chunk.insert(chunk.end(), data.begin(), data.end());
  add_big_endian(chunk, checksum_of(type, std::as_bytes(std::span(data))));
  return chunk;
}

// What stands behind the keyword and its zero byte; nullopt: another text, or no text chunk.
std::optional<std::string_view> after_keyword(const PngChunk& chunk, std::string_view keyword) {
  if (chunk.type != "tEXt" && chunk.type != "iTXt") return std::nullopt;
  const std::string_view data(reinterpret_cast<const char*>(chunk.data.data()), chunk.data.size());
  if (data.size() <= keyword.size() || !data.starts_with(keyword) || data[keyword.size()] != '\0') {
    return std::nullopt;
  }
  return data.substr(keyword.size() + 1);
}

// Behind an iTXt chunk's keyword: compressed or not, how, language, translated keyword, text.
std::string_view international_text(std::string_view rest, const auto& fail) {
  constexpr std::size_t compression_bytes = 2;
  if (rest.size() < compression_bytes) fail("is too short");
  if (rest[0] != '\0') fail("is compressed, which is not read");
  rest.remove_prefix(compression_bytes);
  for (int field = 0; field < 2; ++field) {
    const auto end = rest.find('\0');
    if (end == std::string_view::npos) fail("is too short");
    rest.remove_prefix(end + 1);
  }
  return rest;
}

}  // namespace

std::vector<std::uint8_t> with_png_text(std::span<const std::uint8_t> png, std::string_view keyword,
                                        std::string_view text) {
  check_keyword(keyword);
  check_text(text);
  PngChunks chunks("the picture", std::as_bytes(png));
  while (chunks.next()) {
  }
  const auto end = png.begin() + static_cast<std::ptrdiff_t>(chunks.offset());
  const auto chunk = text_chunk(keyword, text);
  std::vector<std::uint8_t> bytes(png.begin(), end);
  bytes.reserve(png.size() + chunk.size());
  bytes.insert(bytes.end(), chunk.begin(), chunk.end());
  bytes.insert(bytes.end(), end, png.end());
  return bytes;
}

void write_png_with_text(const std::filesystem::path& path, const Bitmap& bitmap,
                         std::string_view keyword, std::string_view text) {
  const auto bytes = with_png_text(encode_png(bitmap), keyword, text);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::optional<std::string> png_text(const std::filesystem::path& path,
                                    std::span<const std::byte> bytes, std::string_view keyword) {
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("'{}': its text \"{}\" {}", path.string(), keyword, what));
  };
  std::optional<std::string> found;
  PngChunks chunks(path, bytes);
  while (const auto chunk = chunks.next()) {
    auto text = after_keyword(*chunk, keyword);
    if (!text) continue;
    if (found) fail("is there twice");
    if (checksum_of(chunk->type, chunk->data) != chunk->checksum) fail("is damaged");
    if (chunk->type == "iTXt") text = international_text(*text, fail);
    if (text->size() > most_png_text) {
      fail(fmt::format("has {} bytes, {} are the most", text->size(), most_png_text));
    }
    found = std::string(*text);
  }
  return found;
}

std::optional<std::string> read_png_text(const std::filesystem::path& path,
                                         std::string_view keyword) {
  return png_text(path, MappedFile::open(path)->bytes(), keyword);
}

}  // namespace l2c::io
