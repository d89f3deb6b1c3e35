// SPDX-License-Identifier: Apache-2.0
#include "lib/check/ask_child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "lib/base/cancellation.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::check {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_child_answer_bytes = 65536;

/// A child that SIGKILL does not end would keep the caller's streams open: who reads them would wait for the child.
void leave_streams(int answer) {
  const UniqueFd null{check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")};
  for (const int stream : {0, 1, 2}) check_sys(::dup2(null.get(), stream), "dup2");
  forget_cancellation();
  close_other_descriptors({answer, null.get()});
}

[[noreturn]] void answer_question(int answer, pid_t parent,
                                  const std::function<std::string()>& question) noexcept {
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(1);
    leave_streams(answer);
    write_all(answer, question());
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

class AskedChild {
 public:
  explicit AskedChild(const std::function<std::string()>& question) {
    Pipe pipe = make_pipe();
    answer_ = std::move(pipe.read_end);
    const pid_t parent = ::getpid();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ == 0) answer_question(pipe.write_end.get(), parent, question);
  }
  AskedChild(const AskedChild&) = delete;
  AskedChild& operator=(const AskedChild&) = delete;
  ~AskedChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)reap(100ms);
  }

  /// Empty: the child has neither answered nor ended.
  std::optional<std::string> read_answer(const Deadline& deadline) const {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.size() <= max_child_answer_bytes) {
      if (await(answer_.get(), POLLIN, -1, deadline) != Readiness::ready) return std::nullopt;
      const ssize_t size = ::read(answer_.get(), buffer.data(), buffer.size());
      if (size == 0) return text;
      if (size > 0) text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    throw Error(Errc::internal, "the answer of a child process is too long");
  }

  /// The wait status. Not a blocking waitpid(2): a request that a FUSE server has read is waited for without an end.
  std::optional<int> reap(std::chrono::milliseconds patience) {
    const Deadline deadline(patience);
    for (int status = 0;;) {
      const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
      if (reaped == pid_) pid_ = -1;
      if (reaped > 0) return status;
      if ((reaped < 0 && errno != EINTR) || deadline.passed()) return std::nullopt;
      std::this_thread::sleep_for(1ms);
    }
  }

 private:
  pid_t pid_ = -1;
  UniqueFd answer_;
};

}  // namespace

std::optional<std::string> ask_child(const std::function<std::string()>& question,
                                     std::chrono::milliseconds patience) {
  AskedChild child(question);
  std::optional<std::string> answer = child.read_answer(Deadline(patience));
  if (!answer) return std::nullopt;
  const std::optional<int> status = child.reap(patience);
  if (!status) return std::nullopt;
  if (*status != 0) throw Error(Errc::internal, "a child process ended without an answer");
  return answer;
}

}  // namespace husk::check
