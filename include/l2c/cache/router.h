// A learned router: for each step and branch, how much computing it matters. Plain data, no
// LibTorch header behind it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace l2c {

// What a router file says about its making; empty or nullopt where it says nothing (the published
// files hold little of this).
struct RouterInfo {
  std::string model_fingerprint{};    // DenoiserInfo::fingerprint of the model it was trained for
  std::string spacing{};              // "20"
  std::string sampler{};              // "ddim"
  std::optional<double> threshold{};  // the one its maker recommends
  std::optional<double> lambda{};     // weight of the reuse term in the training loss
  std::string training{};             // how it was trained, for people
  // Which evaluations compute everything, whatever the scores. 2: those with an odd row, and the
  // first (the published rule). k > 2: every k-th from the first on. 0: only the first.
  int group = 2;
  // What reused branches gave in its training: Recall::name(). Empty: the latest value.
  std::string recall{};

  friend bool operator==(const RouterInfo&, const RouterInfo&) = default;
};

// What scores are held against where nobody says: the paper's threshold for DiT at 256 x 256.
inline constexpr double paper_threshold = 0.1;

class Router {
 public:
  // logits: rows * units, row by row; row r is in force at spaced timestep index r (0 = cleanest).
  // Throws InputError: no rows or units, an odd number of units, a count that does not match, a
  // logit that is NaN or infinite, a group that is negative or 1.
  Router(int rows, int units, std::vector<float> logits, RouterInfo info = {},
         std::string source = "");

  // Reads a published router (.pt with {'routers': {'<i>.prob': ...}}, or a bare dict of
  // '<i>.prob') or our own safetensors format ("logits" [rows, units] and metadata). The published
  // DiT files were trained with the plain spacing string (trap 1 of the reference vectors: the
  // official samplers use "20", not "ddim20") and for DDIM, which info() then says. Throws
  // InputError that names the file.
  static Router load(const std::filesystem::path& path);
  // Whether a file is meant as a router, of either format; load() may still refuse it. Throws
  // InputError when the file cannot be read or, being a torch.save or safetensors file, is damaged.
  static bool recognises(const std::filesystem::path& path);
  // Writes our own format, aside and renamed. Throws InputError (bad path), RunError (disk full).
  void save(const std::filesystem::path& path) const;

  [[nodiscard]] int rows() const { return rows_; }
  [[nodiscard]] int units() const { return units_; }
  // Both throw InputError outside the router.
  [[nodiscard]] float logit(int row, int unit) const;
  // Sigmoid of the logit, in fp32, as PyTorch computes it.
  [[nodiscard]] float score(int row, int unit) const;
  [[nodiscard]] const RouterInfo& info() const { return info_; }
  // Its maker's, else the paper's.
  [[nodiscard]] double recommended_threshold() const {
    return info_.threshold.value_or(paper_threshold);
  }
  // 32 hex digits of the logits and of the rule by which they are used.
  [[nodiscard]] std::string fingerprint() const;
  // The file it was read from, for messages; empty: made in memory.
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  [[nodiscard]] std::size_t at(int row, int unit) const;
  int rows_;
  int units_;
  std::vector<float> logits_;
  std::vector<float> scores_;
  RouterInfo info_;
  std::string source_;
};

}  // namespace l2c
