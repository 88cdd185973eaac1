// Router files that lie or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "l2c/cache/router.h"
#include "support/byte_files.h"
#include "support/hostile_files.h"
#include "support/pickle_programs.h"

namespace l2c {
namespace {

using namespace test;  // NOLINT: the table's words

const std::string four_floats = std::string(16, '\0');

std::string row(const std::string& name, const std::string& value) {
  return joined({pickle_text(name), value});
}

std::string floats(std::int64_t size, std::int64_t stride = 1) {
  return pickle_tensor({.count = 4, .offset = 0, .sizes = {size}, .strides = {stride}});
}

std::string published(const std::string& rows) {
  return make_torch_zip(joined({"\x80\x02}(", rows, "u."}), {{.count = 4, .bytes = four_floats}});
}

std::string own(const std::string& metadata, const std::string& dtype = "F32",
                const std::string& shape = "2,2") {
  const std::string header =
      joined({R"({"__metadata__":{"format":"l2c-router")", metadata, R"(},"logits":{"dtype":")",
              dtype, R"(","shape":[)", shape, R"(],"data_offsets":[0,16]}})"});
  return joined({packed(std::uint64_t{header.size()}), header, four_floats});
}

std::string expanded_rows() {
  std::string rows = row("0.prob", floats(4));
  const std::string wide =
      pickle_tensor({.count = 4, .offset = 0, .sizes = {1000}, .strides = {0}});
  for (int i = 1; i < 3'000; ++i) rows += row(joined({std::to_string(i), ".prob"}), wide);
  return published(rows);
}

TEST(HostileFiles, Routers) {
  const std::string version = R"(,"version":"1")";
  expect_answers(
      {
          {"a published router", "r.pt",
           published(joined({row("0.prob", floats(4)), row("1.prob", floats(4))})), ""},
          {"a router in the format before PyTorch 1.6", "r.pt",
           make_legacy({{"0.prob", at::zeros({4})}, {"1.prob", at::ones({4})}}), ""},
          {"rows of unlike lengths", "r.pt",
           published(joined({row("0.prob", floats(4)), row("1.prob", floats(2))})),
           "row 1 has 2 units, row 0 has 4"},
          {"a row that is missing", "r.pt",
           published(joined({row("0.prob", floats(4)), row("2.prob", floats(4))})),
           "row 1 is missing"},
          {"a row twice", "r.pt",
           published(joined({row("0.prob", floats(4)), row("00.prob", floats(4))})),
           "row 0 is there twice"},
          {"row 2^40", "r.pt",
           published(joined({row("0.prob", floats(4)), row("1099511627776.prob", floats(4))})),
           "unexpected entry '1099511627776.prob'"},
          {"a row that calls posix.system", "r.pt",
           published(row(
               "0.prob",
               joined({"cposix\nsystem\n",
                       pickle_text(joined({"touch ", executed_witness().string()})), "\x85R"}))),
           "is no one-dimensional tensor of floats"},
          {"a row of 2 million expanded units", "r.pt",
           published(row("0.prob", floats(2'000'000, 0))), "it has more than 1000000 logits"},
          {"3,000 expanded rows", "r.pt", expanded_rows(), "it has more than 1000000 logits"},
          {"routers that are no dict", "r.pt", published(row("routers", "N")),
           "entry 'routers' is no dict"},
          {"a model given as a router", "r.pt", published(row("ema", "}")),
           "but a model's checkpoint"},
          {"our router", "r.safetensors", own(version), ""},
          {"our router of another version", "r.safetensors", own(R"(,"version":"99")"),
           "version '99'"},
          {"a router of integers", "r.safetensors", own(version, "I32"), "expected F32"},
          {"a router without units", "r.safetensors", own(version, "F32", "2,2,1"),
           "has 3 dimensions"},
          {"a threshold of 1e99", "r.safetensors", own(joined({version, R"(,"threshold":"1e99")"})),
           "outside [0, 1]"},
          {"a threshold that is no number", "r.safetensors",
           own(joined({version, R"(,"threshold":"0.1;")"})), "not a number"},
          {"steps that are not its rows", "r.safetensors",
           own(joined({version, R"(,"steps":"7")"})), "the metadata entry steps is 7"},
          {"a text given as a router", "r.pt", "hello, world", "is neither a file of torch.save"},
      },
      [](const std::filesystem::path& path) { (void)Router::load(path); });
}

}  // namespace
}  // namespace l2c
