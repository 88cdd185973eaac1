#include "support/golden.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

namespace l2c::test {

namespace {

struct Largest {
  double error = 0;
  double tolerance = 0;
  int tensors = 0;
};

// Prints the table of errors after all tests of the program.
class Report : public ::testing::Environment {
 public:
  void add(const std::string& golden, double error, double tolerance) {
    Largest& entry = largest_[golden];
    entry.error = std::max(entry.error, error);
    entry.tolerance = tolerance;
    ++entry.tensors;
  }
  void SetUp() override {
    const auto wanted = device();
    if (wanted.is_cuda() && !at::hasCUDA()) {
      GTEST_SKIP() << "no GPU for " << wanted << ": this build or machine has no CUDA";
    }
  }
  void TearDown() override {
    for (const auto& [name, entry] : largest_) {
      fmt::print("[ GOLDEN   ] {}: largest error {:.2e} over {} tensors (tolerance {:.0e})\n", name,
                 entry.error, entry.tensors, entry.tolerance);
    }
  }

 private:
  std::map<std::string, Largest> largest_;
};

Report& report() {
  // GoogleTest owns and deletes it.
  static auto* instance = static_cast<Report*>(::testing::AddGlobalTestEnvironment(new Report));
  return *instance;
}
// Registered before main, so that TearDown runs.
[[maybe_unused]] const Report& registered = report();

struct ScratchRoot {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("l2c-test-{}", ::getpid());
  ~ScratchRoot() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(L2C_TEST_DATA) / name;
}

at::Device device() {
  const char* name = std::getenv("L2C_TEST_DEVICE");
  return at::Device(name ? name : "cpu");
}

std::filesystem::path source_dir() { return L2C_SOURCE_DIR; }

std::filesystem::path shared_reference(const std::string& name) {
  const char* other = std::getenv("L2C_SHARED");
  const auto path = std::filesystem::path(other ? other : L2C_SHARED_DIR) / "reference" / name;
  return std::filesystem::exists(path) ? path : std::filesystem::path{};
}

std::filesystem::path scratch() {
  static ScratchRoot root;
  static int next = 0;
  auto path = root.path / std::to_string(next++);
  std::filesystem::create_directories(path);
  return path;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double bad = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes()) return bad;
  const auto a = actual.detach().to(at::kCPU, at::kDouble);
  const auto b = expected.detach().to(at::kCPU, at::kDouble);
  if (!a.isfinite().all().item<bool>()) return bad;
  const double scale = b.abs().max().item<double>();
  const double difference = (a - b).abs().max().item<double>();
  return scale > 0 ? difference / scale : difference;
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                  const std::string& golden) {
  const double error = relative_error(actual, expected);
  report().add(golden, error, tolerance);
  EXPECT_LE(error, tolerance) << golden << ": shape "
                              << fmt::format("{}", fmt::join(actual.sizes(), "x")) << ", expected "
                              << fmt::format("{}", fmt::join(expected.sizes(), "x"));
}

void expect_equal(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(at::equal(actual.detach().cpu(), expected.detach().cpu())) << what;
}

}  // namespace l2c::test
