#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

// It needs <cstdio> and does not include it; the next one needs it.
#include <jpeglib.h>

#include <jerror.h>

#include "image_decoders.h"
#include "l2c/core/error.h"

namespace l2c::io {

namespace {

// A file in several scans may ask for its whole image to be gone over again and again, each time in
// a few bytes. Real ones do so about five times; one scan for each of the 64 frequencies is the
// most that anybody has a reason for, and then each scan has some bytes to say.
constexpr std::int64_t free_passes = 16;
constexpr std::int64_t blocks_per_byte = 64;  // visited beyond those
constexpr std::int64_t most_passes = 64;

// libjpeg reports an error by a call that must not return: it jumps back to the step below that
// called it. Between the two lie only C frames, and the steps have no objects with destructors.
struct Decoder {
  jpeg_decompress_struct state{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf back{};
  std::int64_t size = 0;    // of the file
  int scan = 0;             // the last one that was counted
  std::int64_t visits = 0;  // to blocks, by the scans so far
  int code = 0;             // libjpeg's number of the error
  std::array<char, JMSG_LENGTH_MAX> message{};

  Decoder() = default;
  ~Decoder() { jpeg_destroy_decompress(&state); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

Decoder& decoder_of(j_common_ptr state) { return *static_cast<Decoder*>(state->client_data); }

[[noreturn]] void stop(j_common_ptr state) {
  Decoder& decoder = decoder_of(state);
  decoder.code = state->err->msg_code;
  state->err->format_message(state, decoder.message.data());
  std::longjmp(decoder.back, 1);
}

// Level -1: libjpeg found damage and would go on with made-up pixels. What lost no pixels passes.
void on_message(j_common_ptr state, int level) {
  if (level >= 0) return;
  switch (state->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      stop(state);
    default:
      break;
  }
}

std::int64_t blocks_of(const jpeg_component_info& component) {
  return std::int64_t{component.width_in_blocks} * component.height_in_blocks;
}

// Of all colours; known once the header has been read.
std::int64_t count_blocks(const jpeg_decompress_struct& state) {
  std::int64_t blocks = 0;
  for (int i = 0; i < state.num_components; ++i) blocks += blocks_of(state.comp_info[i]);
  return blocks;
}

// Called before each row of blocks, so at least once in a scan.
void on_progress(j_common_ptr state) {
  const auto* decompress = reinterpret_cast<j_decompress_ptr>(state);
  Decoder& decoder = decoder_of(state);
  if (decompress->input_scan_number == decoder.scan) return;
  decoder.scan = decompress->input_scan_number;
  for (int i = 0; i < decompress->comps_in_scan; ++i) {
    decoder.visits += blocks_of(*decompress->cur_comp_info[i]);
  }
  const std::int64_t blocks = count_blocks(*decompress);
  if (decoder.visits <=
      std::min(most_passes * blocks, free_passes * blocks + blocks_per_byte * decoder.size)) {
    return;
  }
  constexpr std::string_view text = "it has too many scans that say next to nothing";
  text.copy(decoder.message.data(), text.size());
  std::longjmp(decoder.back, 1);
}

void no_output(j_common_ptr) {}

// The steps: false after an error, which is then in decoder.message.

bool read_header(Decoder& decoder, const unsigned char* data, std::size_t size) {
  decoder.state.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = stop;
  decoder.errors.emit_message = on_message;
  decoder.errors.output_message = no_output;
  decoder.progress.progress_monitor = on_progress;
  decoder.state.client_data = &decoder;
  decoder.size = static_cast<std::int64_t>(size);
  if (setjmp(decoder.back) != 0) return false;
  jpeg_create_decompress(&decoder.state);
  decoder.state.progress = &decoder.progress;
  jpeg_mem_src(&decoder.state, data, static_cast<unsigned long>(size));
  jpeg_read_header(&decoder.state, TRUE);
  return true;
}

bool read_pixels(Decoder& decoder, std::uint8_t* pixels, std::size_t row_size) {
  if (setjmp(decoder.back) != 0) return false;
  jpeg_start_decompress(&decoder.state);
  while (decoder.state.output_scanline < decoder.state.output_height) {
    JSAMPROW row = pixels + row_size * decoder.state.output_scanline;
    jpeg_read_scanlines(&decoder.state, &row, 1);
  }
  jpeg_finish_decompress(&decoder.state);
  return true;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw InputError(fmt::format("'{}' is no JPEG that can be read: {}", path.string(), what));
}

[[noreturn]] void fail(const std::filesystem::path& path, const Decoder& decoder) {
  if (decoder.code == JERR_OUT_OF_MEMORY) {
    throw RunError(fmt::format("cannot read '{}': no memory for its {} x {} pixels", path.string(),
                               decoder.state.image_width, decoder.state.image_height));
  }
  fail(path, fmt::format("libjpeg: {}; replace it or take it away", decoder.message.data()));
}

// Asks for gray or RGB.
void choose_output(const std::filesystem::path& path, jpeg_decompress_struct& state) {
  switch (state.jpeg_color_space) {
    case JCS_GRAYSCALE:
      state.out_color_space = JCS_GRAYSCALE;
      return;
    case JCS_RGB:
    case JCS_YCbCr:
      state.out_color_space = JCS_RGB;
      return;
    case JCS_CMYK:
    case JCS_YCCK:
      fail(path,
           "its colours are CMYK, for print; convert it to RGB (for example with "
           "ImageMagick: convert IN -colorspace sRGB OUT)");
    default:
      fail(path, "its colour space is unknown; convert it to RGB");
  }
}

}  // namespace

bool looks_like_jpeg(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xFF} && bytes[1] == std::byte{0xD8} &&
         bytes[2] == std::byte{0xFF};
}

Bitmap decode_jpeg(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  Decoder decoder;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!read_header(decoder, data, bytes.size())) fail(path, decoder);
  const auto pixels = std::int64_t{decoder.state.image_width} * decoder.state.image_height;
  if (pixels > most_png_pixels) {
    fail(path, fmt::format("{} x {} pixels are too many, {} are the most; scale it down",
                           decoder.state.image_width, decoder.state.image_height, most_png_pixels));
  }
  // A Huffman code has at least one bit for each 8 x 8 block of each colour: before the memory is
  // taken, also that of the coefficients, which libjpeg keeps where there are several scans.
  const std::int64_t least_bits = std::max(pixels / (8 * 8), count_blocks(decoder.state));
  if (least_bits / 8 > static_cast<std::int64_t>(bytes.size())) {
    fail(path, fmt::format("{} x {} pixels cannot be in its {} bytes; replace it or take it away",
                           decoder.state.image_width, decoder.state.image_height, bytes.size()));
  }
  choose_output(path, decoder.state);
  Bitmap bitmap{.width = static_cast<int>(decoder.state.image_width),
                .height = static_cast<int>(decoder.state.image_height),
                .channels = decoder.state.out_color_space == JCS_RGB ? 3 : 1,
                .pixels = {}};
  const auto row_size =
      static_cast<std::size_t>(bitmap.width) * static_cast<std::size_t>(bitmap.channels);
  bitmap.pixels.resize(row_size * static_cast<std::size_t>(bitmap.height));
  if (!read_pixels(decoder, bitmap.pixels.data(), row_size)) fail(path, decoder);
  return bitmap;
}

}  // namespace l2c::io
