#include "models_support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace l2c::test {

ModelInput input_of(const io::SafetensorsFile& golden) {
  return {golden.tensor("x").to(device()), golden.tensor("t").to(device()),
          golden.tensor("y").to(device())};
}

BranchValue RecordingRunner::branch(BranchId id, BranchFunction compute) {
  at::Tensor value = compute({});
  const char* kind = id.kind == BranchKind::attention ? "attn" : "mlp";
  recorded[fmt::format("blocks.{}.{}_branch", id.block, kind)] = value;
  return {Term{value}};
}

void RecordingRunner::trunk(Trunk& trunk) {
  for (int i = 0; i < trunk.blocks(); ++i) {
    trunk.run(i, i + 1);
    recorded[fmt::format("blocks.{}.out", i)] = trunk.stream().tokens();
  }
}

BranchValue StoringRunner::branch(BranchId id, BranchFunction compute) {
  at::Tensor out = at::empty({rows_, config_.tokens(), config_.hidden_size});
  at::Tensor value = compute(out);
  EXPECT_EQ(value.data_ptr(), out.data_ptr());
  stored[id.unit()] = out;
  return {Term{value}};
}

BranchValue ReusingRunner::branch(BranchId id, BranchFunction compute) {
  const auto found = values_.find(id.unit());
  if (found != values_.end()) return {Term{found->second}};
  computed.push_back(id.unit());
  return {Term{compute({})}};
}

}  // namespace l2c::test
