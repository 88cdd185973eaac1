#include "l2c/models/class_names.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

ClassNames imagenet() {
  return ClassNames({{0, "tench, Tinca tinca"},
                     {134, "crane"},
                     {207, "golden retriever"},
                     {208, "Labrador retriever"},
                     {222, "kuvasz"},
                     {264, "Cardigan, Cardigan Welsh corgi"},
                     {282, "tiger cat"},
                     {474, "cardigan"},
                     {517, "crane"},
                     {638, "maillot"},
                     {639, "maillot, tank suit"}},
                    "model_index.json");
}

void expect_refused(const std::string& name, const testing::Matcher<std::string>& message) {
  EXPECT_THAT([&] { (void)imagenet().label(name); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("label \"" + name), message)));
}

TEST(ClassNames, AnyOfSeveralNames) {
  EXPECT_EQ(imagenet().label("golden retriever"), 207);
  EXPECT_EQ(imagenet().label("tench"), 0);
  EXPECT_EQ(imagenet().label("Tinca tinca"), 0);
  EXPECT_EQ(imagenet().label("tench, Tinca tinca"), 0);
  EXPECT_EQ(imagenet().label("  tank suit\t"), 639);
  EXPECT_EQ(imagenet().text(0), "tench, Tinca tinca");
  EXPECT_EQ(imagenet().text(1), "");
}

TEST(ClassNames, UpperAndLowerCaseOnlyWhereTheyTellClassesApart) {
  EXPECT_EQ(imagenet().label("GOLDEN Retriever"), 207);
  EXPECT_EQ(imagenet().label("labrador retriever"), 208);
  EXPECT_EQ(imagenet().label("Cardigan"), 264);
  EXPECT_EQ(imagenet().label("cardigan"), 474);
}

TEST(ClassNames, TheWholeTextGoesFirst) { EXPECT_EQ(imagenet().label("maillot"), 638); }

TEST(ClassNames, SeveralClassesOfOneNameAreListed) {
  expect_refused("crane", HasSubstr("several classes: give the number of the one you mean, "
                                    "134 (crane) or 517 (crane)"));
}

TEST(ClassNames, NearMissesAreSuggested) {
  expect_refused("golden retreiver", HasSubstr("did you mean \"golden retriever\" (207)?"));
  expect_refused("retriever", AllOf(HasSubstr("\"golden retriever\" (207)"),
                                    HasSubstr("\"Labrador retriever\" (208)")));
  expect_refused("tigercat", AllOf(HasSubstr("\"tiger cat\" (282)"), Not(HasSubstr("kuvasz"))));
  expect_refused("golden retreiver", HasSubstr("all are in model_index.json"));
}

TEST(ClassNames, NothingNear) {
  expect_refused("xylophone of a kind",
                 AllOf(HasSubstr("no class has that name"), Not(HasSubstr("did you mean")),
                       HasSubstr("class 0 for instance is \"tench, Tinca tinca\"")));
  expect_refused("", HasSubstr("no class has that name"));
}

TEST(ClassNames, AModelWithoutNames) {
  EXPECT_TRUE(ClassNames().empty());
  EXPECT_THAT([] { (void)ClassNames().label("otter"); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("label \"otter\": this model has no names of classes"),
                        HasSubstr("give the number of the class"))));
}

TEST(ClassNames, ForeignTextIsMadeHarmless) {
  const ClassNames names({{3, "a\x1b[2Jb"}, {4, "  "}, {5, std::string(5000, 'x')}});
  EXPECT_EQ(names.text(3), "a?[2Jb");
  EXPECT_EQ(names.text(4), "");
  EXPECT_LT(names.text(5).size(), 1100U);
  std::string foreign(100000, 'y');
  foreign += '\x1b';
  EXPECT_THAT([&] { (void)names.label(foreign); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("yyy..."), Not(HasSubstr("\x1b")))));
}

TEST(ClassNames, ManyNamesOfOneClass) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += fmt::format("n{}, ", i);
  const ClassNames names({{3, many}, {4, "  ,  other ,"}, {5, ","}});
  EXPECT_EQ(names.label("N150"), 3);
  EXPECT_EQ(names.label("other"), 4);
  EXPECT_THAT([&] { (void)names.label("n151x"); },
              ThrowsMessage<InputError>(HasSubstr("did you mean \"n15\" (3)")));
}

TEST(ParseLabels, NumbersAndNames) {
  EXPECT_THAT(parse_labels({"207", " golden retriever", "-1", "007"}, imagenet()),
              ElementsAre(207, 207, -1, 7));
  EXPECT_THAT(parse_labels({"3"}, {}), ElementsAre(3));
  EXPECT_THAT([] { (void)parse_labels({"99999999999"}, {}); },
              ThrowsMessage<InputError>(HasSubstr("label 99999999999")));
  EXPECT_THAT([] { (void)parse_labels({"3x"}, {}); },
              ThrowsMessage<InputError>(HasSubstr("label \"3x\"")));
}

}  // namespace
}  // namespace l2c
