// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/modules.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/trace.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::agent {
namespace {

using Paths = std::deque<std::string>;

constexpr const char *first_list = "/etc/husk/modules.first", *next_list = "/etc/husk/modules.next",
                     *later_list = "/etc/husk/modules.later";
constexpr std::chrono::seconds later_delay{1};

/// Reads one path from each line. No file: a kernel with everything built in.
Paths read_list(const char* file) {
  Paths paths;
  if (::access(file, F_OK) != 0) return paths;
  const std::string text = read_file(file, 64u << 10);
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (end > start) paths.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return paths;
}

void load(const std::string& path) {
  const Span span(std::string_view(path).substr(path.rfind('/') + 1));
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) {
    log(LogLevel::error, "module " + path + ": cannot be opened");
  } else if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST) {
    log(LogLevel::error, "module " + path + ": " + errno_text(errno));
  }
}

void load_in_turns(EventLoop& loop, const std::shared_ptr<Paths>& paths,
                   std::chrono::milliseconds delay) {
  if (paths->empty()) return;
  loop.after(delay, [&loop, paths] {
    load(paths->front());
    paths->pop_front();
    load_in_turns(loop, paths, std::chrono::milliseconds{0});
  });
}

}  // namespace

void load_first_modules() {
  for (const std::string& path : read_list(first_list)) load(path);
}

std::optional<std::string> wrong_modules(const std::filesystem::path& directory,
                                         const std::string& release) {
  std::error_code failure;
  if (std::filesystem::exists(directory / release, failure)) return std::nullopt;
  const std::filesystem::directory_iterator first(directory, failure);
  if (failure || first == std::filesystem::directory_iterator()) return std::nullopt;
  return "the guest modules are of another kernel: there is no directory " + release +
         " in them, for the guest's own";
}

void load_other_modules(EventLoop& loop) {
  load_in_turns(loop, std::make_shared<Paths>(read_list(next_list)), std::chrono::milliseconds{0});
  load_in_turns(loop, std::make_shared<Paths>(read_list(later_list)), later_delay);
}

}  // namespace husk::agent
