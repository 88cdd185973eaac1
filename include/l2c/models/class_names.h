// Classes by name. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace l2c {

// What the labels of a model are called. A class may have several names, separated by commas:
// "tench, Tinca tinca". Immutable: any number of threads may ask.
class ClassNames {
 public:
  ClassNames() = default;
  // By label; classes without a name are left out. Control characters become '?'. `where` (a file)
  // is for messages.
  explicit ClassNames(const std::map<int, std::string>& texts, std::string where = "");

  [[nodiscard]] bool empty() const { return texts_.empty(); }
  [[nodiscard]] const std::map<int, std::string>& texts() const { return texts_; }
  // The whole text of a class; "" when it has none.
  [[nodiscard]] std::string_view text(int label) const;

  // The class of that name: one of its names or its whole text. Spaces around it do not count;
  // upper and lower case only do where several classes differ by nothing else. A class whose whole
  // text it is goes before others that have it among their names. Throws InputError: no such name
  // (the nearest ones are listed), several classes of that name (their labels are listed), no names
  // at all.
  [[nodiscard]] int label(std::string_view name) const;

 private:
  // A part of the class's text. A file of 1 MB can hold half a million: they own nothing.
  struct Name {
    int label = 0;
    std::uint16_t begin = 0;
    std::uint16_t size = 0;
    bool whole = false;  // the class's whole text
  };
  [[nodiscard]] std::string_view text(const Name& name) const;
  [[nodiscard]] std::string nearest(const std::string& lower) const;
  std::map<int, std::string> texts_;
  std::string where_;
  std::vector<Name> names_;
};

// Labels as people give them: whole numbers are labels, all else are names. Throws InputError like
// ClassNames::label; whether the model has a class of a number is checked by Pipeline.
std::vector<int> parse_labels(const std::vector<std::string>& words, const ClassNames& names);

}  // namespace l2c
