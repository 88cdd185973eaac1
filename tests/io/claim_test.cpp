#include "l2c/io/claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "l2c/core/error.h"
#include "support/golden.h"
#include "support/messages.h"

namespace l2c::io {
namespace {

using testing::HasSubstr;

TEST(Claim, OneNumberHasOneHolder) {
  const auto file = test::scratch() / "claims";
  auto first = Claim::attempt(file, 3);
  ASSERT_TRUE(first);
  EXPECT_FALSE(Claim::attempt(file, 3));
  EXPECT_TRUE(Claim::attempt(file, 2));
  EXPECT_FALSE(Claim::attempt(file, 3)) << "closing another claim lets go of nothing";
  first.reset();
  EXPECT_TRUE(Claim::attempt(file, 3));
}

TEST(Claim, OfAKilledProcessIsFree) {
  const auto file = test::scratch() / "claims";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto child = ::fork();
  if (child == 0) {
    const auto claim = Claim::attempt(file, 1);
    [[maybe_unused]] const auto said = ::write(ready[1], claim ? "y" : "n", 1);
    ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_FALSE(Claim::attempt(file, 1));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(Claim::attempt(file, 1));
}

TEST(Claim, RefusesAFileThatCannotBeMade) {
  EXPECT_THAT(test::message_of([] { (void)Claim::attempt("/nowhere/claims", 0); }),
              HasSubstr("/nowhere/claims"));
  const auto file = test::scratch() / "claims";
  EXPECT_THAT(test::message_of([&] { (void)Claim::attempt(file, -1); }),
              testing::AllOf(HasSubstr("cannot lock"), HasSubstr(file.string())));
}

}  // namespace
}  // namespace l2c::io
