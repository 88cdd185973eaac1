#include "l2c/io/torch_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::InputError;
using l2c::io::PickleList;
using l2c::io::PickleObject;
using l2c::io::PicklePtr;
using l2c::io::read_torch_file;
using l2c::test::expect_equal;
using l2c::test::make_zip;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::string kNone = "\x80\x02N.";

std::int64_t integer(const PicklePtr& value) { return std::get<std::int64_t>(value->value); }

void expect_refused(const std::string& bytes, const std::string& message) {
  const auto path = scratch() / "bad.pt";
  write_bytes(path, bytes);
  EXPECT_THAT([&] { read_torch_file(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
}

TEST(DitTinyStateDict, EqualsTheSafetensorsFile) {
  const auto golden =
      l2c::io::SafetensorsFile::open(l2c::test::data("dit_tiny/weights.safetensors"));
  const PicklePtr value = read_torch_file(l2c::test::data("dit_tiny/state_dict.pt"));
  ASSERT_NE(value->dict(), nullptr);
  EXPECT_EQ(value->dict()->size(), golden.names().size());
  for (const auto& name : golden.names()) {
    const PicklePtr found = value->find(name);
    ASSERT_TRUE(found && found->tensor()) << name;
    expect_equal(*found->tensor(), golden.tensor(name), name);
  }
}

TEST(DitTinyTrainCheckpoint, HoldsNamespaceAndOptimizer) {
  const PicklePtr value = read_torch_file(l2c::test::data("dit_tiny/train_checkpoint.pt"));
  const PicklePtr args = value->find("args");
  ASSERT_TRUE(args);
  EXPECT_EQ(std::get<PickleObject>(args->value).type, "argparse.Namespace");
  EXPECT_EQ(*args->find("model")->text(), "DiT-tiny");
  EXPECT_EQ(integer(args->find("image_size")), 64);
  EXPECT_EQ(args->find("absent"), nullptr);
  ASSERT_TRUE(value->find("opt"));
  EXPECT_TRUE(value->find("opt")->find("param_groups"));
}

TEST(PublishedRouters, AreReadable) {
  const auto path = l2c::test::shared_reference("routers/DDIM20_router.pt");
  if (path.empty()) GTEST_SKIP() << "no published routers: ../shared/reference is not there";
  const PicklePtr routers = read_torch_file(path)->find("routers");
  ASSERT_TRUE(routers && routers->dict());
  EXPECT_FALSE(routers->dict()->empty());
  for (const auto& [name, row] : *routers->dict()) {
    ASSERT_TRUE(row->tensor());
    EXPECT_EQ(row->tensor()->numel(), 56) << *name->text();
    EXPECT_TRUE(row->tensor()->device().is_cpu());
  }
}

TEST(PublishedRouters, BareOrderedDictIsReadable) {
  const auto path = l2c::test::shared_reference("routers/dpm20_router.pth");
  if (path.empty()) GTEST_SKIP() << "no published routers: ../shared/reference is not there";
  const PicklePtr value = read_torch_file(path);
  ASSERT_NE(value->dict(), nullptr);
  EXPECT_TRUE(value->find("1.prob"));
}

class Protocols : public testing::TestWithParam<int> {
 protected:
  PicklePtr root_ = read_torch_file(
      l2c::test::data(std::string("io/protocol") + std::to_string(GetParam()) + ".pt"));
};

TEST_P(Protocols, Tensors) {
  const PicklePtr state = root_->find("state");
  const auto tensor = [&](const char* name) { return *state->find(name)->tensor(); };
  const at::Tensor plain = at::arange(12, at::kFloat).view({3, 4});
  expect_equal(tensor("plain"), plain, "plain");
  expect_equal(tensor("transposed"), plain.t(), "transposed");
  expect_equal(tensor("row"), plain[1], "row");
  EXPECT_EQ(tensor("half").scalar_type(), at::kHalf);
  expect_equal(tensor("half").to(at::kFloat),
               at::tensor({0.5F, -1.0F, 2.0F, 65504.0F}).view({2, 2}), "half");
  EXPECT_EQ(tensor("scalar").dim(), 0);
  EXPECT_EQ(tensor("scalar").item<std::int64_t>(), -(std::int64_t{1} << 40));
  EXPECT_EQ(tensor("empty").sizes(), (at::IntArrayRef{0, 4}));
  EXPECT_EQ(tensor("eight").scalar_type(), at::kFloat8_e4m3fn);
  expect_equal(tensor("eight").to(at::kFloat), at::tensor({1.0F, -1.0F, 2.0F}), "eight");
}

TEST_P(Protocols, PlainValues) {
  const PicklePtr things = root_->find("things");
  const auto get = [&](const char* name) { return things->find(name); };
  EXPECT_TRUE(std::holds_alternative<std::monostate>(get("none")->value));
  EXPECT_TRUE(std::get<bool>(get("true")->value));
  EXPECT_FALSE(std::get<bool>(get("false")->value));
  EXPECT_EQ(integer(get("small")), 7);
  EXPECT_EQ(integer(get("medium")), 300);
  EXPECT_EQ(integer(get("negative")), -5);
  EXPECT_EQ(integer(get("large")), std::int64_t{1} << 40);
  EXPECT_EQ(integer(get("below")), -(std::int64_t{1} << 62));
  EXPECT_EQ(std::get<double>(get("number")->value), 0.1);
  EXPECT_EQ(*get("text")->text(), "Gr\u00fc\u00dfe");
  EXPECT_EQ(*get("long")->text(), std::string(300, 'x'));
  EXPECT_EQ(*get("data")->text(), std::string("\0\xff", 2));
  EXPECT_EQ(*get("long_data")->text(), std::string(300, 'y'));
}

TEST_P(Protocols, ContainersAndObjects) {
  const PicklePtr things = root_->find("things");
  const auto list = [&](const char* name) {
    return std::get<PickleList>(things->find(name)->value);
  };
  EXPECT_EQ(list("list").size(), 3U);
  EXPECT_EQ(list("tuple").size(), 4U);
  EXPECT_EQ(integer(list("set").at(0)), 5);
  EXPECT_EQ(integer(list("frozen").at(0)), 6);
  EXPECT_EQ(integer(list("size").at(1)), 3);
  EXPECT_EQ(std::get<PickleObject>(things->find("counts")->value).type, "collections.defaultdict");
  EXPECT_EQ(integer(things->find("counts")->find("a")), 1);
  EXPECT_EQ(std::get<PickleObject>(things->find("names")->value).type, "argparse.Namespace");
  EXPECT_EQ(integer(things->find("names")->find("steps")), 20);
  expect_equal(*list("shared").at(0)->tensor(), *root_->find("state")->find("row")->tensor(),
               "row");
}

INSTANTIATE_TEST_SUITE_P(Pickle, Protocols, testing::Values(3, 4));

TEST(TorchZip, IsToldByItsFirstBytes) {
  EXPECT_TRUE(l2c::io::looks_like_torch_file(l2c::test::data("dit_tiny/state_dict.pt")));
  EXPECT_FALSE(l2c::io::looks_like_torch_file(l2c::test::data("dit_tiny/weights.safetensors")));
  EXPECT_FALSE(l2c::io::looks_like_torch_file(scratch()));
  EXPECT_FALSE(l2c::io::looks_like_torch_file(scratch() / "none"));
}

TEST(TorchZip, Zip64IsRead) {
  const auto path = scratch() / "wide.pt";
  write_bytes(path, make_zip({{"w/data.pkl", "\x80\x02K\x09."}, {"w/byteorder", "little"}}, true));
  EXPECT_EQ(integer(read_torch_file(path)), 9);
}

TEST(TorchZip, AChecksumOfZeroMeansNone) {
  std::string bytes = make_zip({{"w/data.pkl", "\x80\x02K\x09."}});
  bytes.replace(bytes.find("PK\1\2") + 16, 4, std::string(4, '\0'));
  bytes.replace(14, 4, std::string(4, '\0'));
  const auto path = scratch() / "unchecked.pt";
  write_bytes(path, bytes);
  EXPECT_EQ(integer(read_torch_file(path)), 9);
}

TEST(TorchZip, TheRootMayBeAnywhere) {
  const auto path = scratch() / "root.pt";
  for (const std::string root : {"", "a/", "a/b c/d/", "./"}) {
    write_bytes(path, make_zip({{root + "data.pkl", "\x80\x02K\x09."}}));
    EXPECT_EQ(integer(read_torch_file(path)), 9) << root;
  }
  expect_refused(make_zip({{"a/data.pkl", kNone}, {"b/data.pkl", kNone}}),
                 "holds 2 files of torch.save in one archive ('a/data.pkl', 'b/data.pkl')");
}

TEST(TorchZip, RefusesOtherArchives) {
  expect_refused("", "does not begin like a zip file");
  expect_refused("hello, world", "does not begin like a zip file");
  expect_refused(make_zip({{"other.txt", "x"}}), "holds no data.pkl");
  expect_refused(make_zip({{"a/data.pkl", kNone}, {"a/byteorder", "big"}}), "byte order 'big'");
  expect_refused(std::string(257, 'x') + "ustar" + std::string(250, 'x'),
                 "the tar format of PyTorch before 0.1.10");
}

}  // namespace
