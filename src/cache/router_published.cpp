#include "router_published.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/core/torch.h"
#include "l2c/core/words.h"
#include "l2c/io/torch_checkpoint.h"

namespace l2c {

namespace {

constexpr std::string_view row_suffix = ".prob";
// Rows can be views of one storage, so that the file's size is no bound. The published ones have
// 2,900 logits at most.
constexpr std::int64_t most_logits = 1'000'000;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem) {
  constexpr std::size_t longest = 500;
  throw InputError(fmt::format("router {}: {}", path.string(), one_line(problem, longest)));
}

// The row number of the key '<i>.prob'.
std::optional<int> row_of(std::string_view key) {
  if (!key.ends_with(row_suffix)) return std::nullopt;
  key.remove_suffix(row_suffix.size());
  int row = 0;
  const auto [stop, status] = std::from_chars(key.data(), key.data() + key.size(), row);
  if (status != std::errc() || stop != key.data() + key.size() || row < 0) return std::nullopt;
  return row;
}

std::string first_keys(const io::PickleDict& dict) {
  std::vector<std::string> names;
  for (const auto& [key, value] : dict) {
    if (names.size() == 4) {
      names.emplace_back("...");
      break;
    }
    const std::string* name = key->text();
    names.push_back(name != nullptr ? fmt::format("'{}'", name->substr(0, 60)) : "(not a string)");
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

bool has_rows(const io::PickleDict& dict) {
  for (const auto& [key, value] : dict) {
    if (const std::string* name = key->text(); name != nullptr && row_of(*name)) return true;
  }
  return false;
}

const io::PickleDict& find_routers(const std::filesystem::path& path,
                                   const io::PickleValue& content) {
  const io::PickleDict* dict = content.dict();
  if (dict == nullptr) fail(path, "holds no router: its content is no dict");
  if (const io::PicklePtr routers = content.find("routers")) {
    if (routers->dict() == nullptr) fail(path, "its entry 'routers' is no dict");
    return *routers->dict();
  }
  if (has_rows(*dict)) return *dict;
  const bool checkpoint = content.find("ema") != nullptr || content.find("model") != nullptr;
  fail(path, fmt::format("holds no router{}: there is neither an entry 'routers' nor entries "
                         "'<row>.prob', only {}",
                         checkpoint ? " but a model's checkpoint" : "", first_keys(*dict)));
}

std::vector<float> row_values(const std::filesystem::path& path, const std::string& name,
                              const io::PickleValue& value, std::int64_t& left) {
  const at::Tensor* tensor = value.tensor();
  if (tensor == nullptr || tensor->dim() != 1 || !tensor->is_floating_point()) {
    fail(path, fmt::format("its entry '{}' is no one-dimensional tensor of floats", name));
  }
  left -= std::min(left + 1, tensor->numel());
  if (left < 0) fail(path, fmt::format("it has more than {} logits", most_logits));
  const at::Tensor row = tensor->to(at::kFloat).contiguous();
  const auto* data = row.const_data_ptr<float>();
  return {data, data + row.numel()};
}

std::map<int, std::vector<float>> read_rows(const std::filesystem::path& path,
                                            const io::PickleDict& routers) {
  std::map<int, std::vector<float>> rows;
  std::int64_t left = most_logits;
  for (const auto& [key, value] : routers) {
    const std::string* name = key->text();
    const std::optional<int> row = name != nullptr ? row_of(*name) : std::nullopt;
    if (!row) {
      fail(path, fmt::format("unexpected entry '{}' among its rows '<row>.prob'",
                             name != nullptr ? name->substr(0, 60) : "(not a string)"));
    }
    if (!rows.emplace(*row, row_values(path, *name, *value, left)).second) {
      fail(path, fmt::format("row {} is there twice", *row));
    }
  }
  return rows;
}

// One vector of all rows, after checking that they fit together.
std::vector<float> join_rows(const std::filesystem::path& path,
                             const std::map<int, std::vector<float>>& rows) {
  if (rows.empty()) fail(path, "it has no rows '<row>.prob'");
  const std::size_t units = rows.begin()->second.size();
  std::vector<float> logits;
  int expected = 0;
  for (const auto& [row, values] : rows) {
    if (row != expected++) {
      fail(path, fmt::format("row {} is missing ('{}.prob'); its last row is {}", expected - 1,
                             expected - 1, rows.rbegin()->first));
    }
    if (values.size() != units) {
      fail(path, fmt::format("row {} has {} units, row 0 has {}", row, values.size(), units));
    }
    logits.insert(logits.end(), values.begin(), values.end());
  }
  return logits;
}

// A number or text of the training script's argparse.Namespace.
std::optional<double> argument(const io::PickleValue& args, std::string_view name) {
  const io::PicklePtr found = args.find(name);
  if (!found) return std::nullopt;
  if (const auto* real = std::get_if<double>(&found->value)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&found->value)) {
    return static_cast<double>(*whole);
  }
  return std::nullopt;
}

std::string describe_training(const io::PickleValue& args) {
  std::string text = "published router (learning-to-cache)";
  std::vector<std::string> parts;
  const io::PicklePtr model = args.find("model");
  if (model && model->text() != nullptr) parts.push_back("model " + *model->text());
  for (const auto& [name, label] :
       {std::pair{"max_steps", "training steps"}, std::pair{"global_batch_size", "batch size"},
        std::pair{"lr", "learning rate"}}) {
    if (const auto value = argument(args, name))
      parts.push_back(fmt::format("{} {}", label, *value));
  }
  if (!parts.empty()) text += ": " + fmt::format("{}", fmt::join(parts, ", "));
  return text;
}

// What the training script of DiT leaves in its file; U-ViT's leaves nothing.
RouterInfo read_info(const std::filesystem::path& path, const io::PickleValue& content, int rows) {
  RouterInfo info;
  info.training = "published router (learning-to-cache)";
  if (content.find("routers") == nullptr) return info;
  // The official DiT scripts train and sample with the plain spacing string, for DDIM, too.
  info.spacing = std::to_string(rows);
  info.sampler = "ddim";
  const io::PicklePtr args = content.find("args");
  if (!args) return info;
  info.training = describe_training(*args);
  info.lambda = argument(*args, "l1");
  const auto steps = argument(*args, "num_sampling_steps");
  if (steps && *steps != rows) {
    log::warning(
        fmt::format("router {}: it says that it was trained for {} steps, but it has {} rows; "
                    "going by the rows",
                    path.string(), *steps, rows));
  }
  return info;
}

}  // namespace

bool holds_published_router(const std::filesystem::path& path) {
  const io::PicklePtr content = io::read_torch_file(path);
  return content->find("routers") != nullptr ||
         (content->dict() != nullptr && has_rows(*content->dict()));
}

Router read_published_router(const std::filesystem::path& path) {
  const io::PicklePtr content = io::read_torch_file(path);
  const auto rows = read_rows(path, find_routers(path, *content));
  std::vector<float> logits = join_rows(path, rows);
  const auto count = static_cast<int>(rows.size());
  const auto units = static_cast<int>(rows.begin()->second.size());
  return {count, units, std::move(logits), read_info(path, *content, count), path.string()};
}

}  // namespace l2c
