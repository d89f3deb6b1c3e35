// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. Whatever the bytes, the answer is a value or one husk::Error: another
// exception leaves the target, which is a crash, and so is a promise that is not kept.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lib/base/error.hpp"

/// libFuzzer calls it with each input; 0: keep the input if it came to new code.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace husk::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are what libFuzzer has
  return {reinterpret_cast<const char*>(data), size};
}

/// The stack that is printed names the line.
inline void require(bool kept) {
  if (!kept) std::abort();
}

/// Runs `f`, which may throw Error.
template <std::invocable F>
void only_errors(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    require(std::string_view(error.what()).size() < (16u << 10));  // no text floods a terminal
  }
}

/// What was read is written, and read again, without a loss.
template <class T>
void require_round_trip(const T& value) {
  const nlohmann::json written = value;
  require(nlohmann::json(written.get<T>()) == written);
}

}  // namespace husk::fuzz
