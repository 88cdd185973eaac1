// "KIND:VALUE,key=value,...": how policies and the like are written on the command line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace l2c {

// One such text, taken apart; the getters note which options exist. Not thread-safe.
class SpecText {
 public:
  // `what` names the thing in messages: "policy". Nothing is checked yet but the options' form.
  // Throws InputError for an option without "=" or one given twice.
  SpecText(std::string what, std::string text);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& kind() const { return kind_; }  // before the first ":"
  [[nodiscard]] bool has_value() const { return has_value_; }      // whether there is a ":"
  // Between ":" and the first ",".
  [[nodiscard]] const std::string& value() const { return value_; }
  // All after ":", commas included: for values that are files, which have no options.
  [[nodiscard]] const std::string& rest() const { return rest_; }

  // The value, or the option `key` where it is given, else `otherwise`. Throw InputError unless it
  // is a number from `least` to `most`.
  [[nodiscard]] int whole_value(int least, int most) const;
  [[nodiscard]] double value_between(double least, double most) const;
  int whole_option(std::string_view key, int otherwise, int least, int most);
  // Numbers with "/" between them: "2/0.5/-1".
  std::vector<double> numbers_option(std::string_view key, std::vector<double> otherwise);

  // To be called after the last option: throws InputError, listing the options there are, when one
  // is left that no getter asked for.
  void finish() const;
  // Throws InputError: `what "text": why`.
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  const std::string* option(std::string_view key);
  std::string what_;
  std::string text_;
  std::string kind_;
  bool has_value_ = false;
  std::string value_;
  std::string rest_;
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> known_;  // the options that were asked for
};

}  // namespace l2c
