// SPDX-License-Identifier: Apache-2.0
#include "lib/check/program_error.hpp"

#include <unistd.h>

#include <cerrno>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/check/ask_child.hpp"

namespace husk::check {

std::string does_not_answer(const std::string& path, std::chrono::milliseconds patience) {
  return path + ": the file system does not answer within " +
         std::to_string(std::chrono::ceil<std::chrono::seconds>(patience).count()) + " s";
}

std::string find_program_error(const fs::path& program, std::chrono::milliseconds patience) {
  const auto look = [&] {
    const int error = ::access(program.c_str(), X_OK) == 0 ? 0 : errno;
    return error == 0 ? std::string() : program.string() + ": " + errno_text(error);
  };
  return one_line(ask_child(look, patience).value_or(does_not_answer(program.string(), patience)));
}

}  // namespace husk::check
