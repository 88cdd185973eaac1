// Changes that keep alive what stands around them: without these, nearly every changed archive,
// picture or header is refused for a checksum or a size, and the readers behind are never reached.
#pragma once

#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <string_view>

namespace l2c::fuzz {

using Random = std::minstd_rand;
// Returns changed bytes, at most `most` of them.
using Mutate = std::function<std::string(std::string bytes, std::size_t most)>;

// `bytes` changed in one place by `mutate`: mostly inside of what its format protects, whose
// checksums and sizes are then put right, and sometimes just as it is. At most `most` bytes.
// Zip archives, PNG files and safetensors are told apart by content; all else is just changed.
std::string mutated(std::string_view bytes, std::size_t most, Random& random, const Mutate& mutate);

// The parts of it, for the tests. Empty: not such a file.
std::string mutated_zip(std::string_view bytes, std::size_t most, Random& random,
                        const Mutate& mutate);
std::string mutated_png(std::string_view bytes, std::size_t most, const Mutate& mutate);
std::string mutated_safetensors(std::string_view bytes, std::size_t most, const Mutate& mutate);

}  // namespace l2c::fuzz
