// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/helper_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <utility>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

/// False: the agent does not need it any more.
bool is_ordered(int order) {
  char byte = 0;
  return ::read(order, &byte, 1) == 1;
}

/// Copies of the agent's descriptors would keep streams open for as long as the child waits.
[[noreturn]] void work_in_child(const HelperProcess::Work& work, int order, int said) noexcept {
  try {
    // A container with the guest's pid namespace sees this process in /proc.
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    set_log_sink(nullptr);  // its descriptor goes as well
    close_other_descriptors({order, said});
    if (is_ordered(order)) work(said);
    ::close(said);  // the agent need not wait for the end of a copy of its memory
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

UniqueFd fork_child(const HelperProcess::Work& work, int order, int said) {
  const auto pid = static_cast<pid_t>(check_sys(::fork(), "fork"));
  if (pid == 0) work_in_child(work, order, said);
  UniqueFd child{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (child) return child;
  const int error = errno;
  ::kill(pid, SIGKILL);  // not reaped yet, so that the number is still the child's
  errno = error;
  throw_errno("pidfd_open");
}

}  // namespace

HelperProcess::HelperProcess(EventLoop& loop, const Work& work) : loop_(loop) {
  Pipe order = make_pipe(), pipe = make_pipe();
  check_sys(::fcntl(pipe.read_end.get(), F_SETFL, O_NONBLOCK), "fcntl");
  child_ = fork_child(work, order.read_end.get(), pipe.write_end.get());
  order_ = std::move(order.write_end);
  pipe_ = std::move(pipe.read_end);
}

void HelperProcess::begin(std::chrono::milliseconds patience, Done done) {
  // A helper that was killed meanwhile, for lack of memory, has said nothing: SIGPIPE is ignored.
  if (::write(order_.get(), "b", 1) < 0 && errno != EPIPE) throw_errno("order a helper");
  watch_ = loop_.watch(pipe_.get(), EPOLLIN, [this](std::uint32_t) { receive(); });
  timer_ = loop_.after(patience, [this] { end(false); });
  done_ = std::move(done);  // last: it may own this object
}

HelperProcess::~HelperProcess() {
  if (timer_) loop_.cancel(*timer_);
  ::syscall(SYS_pidfd_send_signal, child_.get(), SIGKILL, nullptr, 0);
}

void HelperProcess::run(EventLoop& loop, std::chrono::milliseconds patience, const Work& work,
                        Done done) {
  auto holder = std::make_shared<std::unique_ptr<HelperProcess>>();
  *holder = std::make_unique<HelperProcess>(loop, work);
  (*holder)->begin(patience,
                   [holder, done = std::move(done)](const std::string& said, bool is_finished) {
                     const std::unique_ptr<HelperProcess> ended = std::move(*holder);
                     done(said, is_finished);
                   });
}

void HelperProcess::receive() {
  std::array<char, 32u << 10> chunk{};
  const ssize_t count = ::read(pipe_.get(), chunk.data(), chunk.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return end(count == 0);
  said_.append(chunk.data(), static_cast<std::size_t>(count));
  if (said_.size() > max_said_bytes) end(false);
}

/// Last: `done` may end this object.
void HelperProcess::end(bool is_finished) {
  watch_.reset();
  loop_.cancel(*timer_);
  const Done done = std::exchange(done_, nullptr);
  const std::string said = std::move(said_);
  done(said, is_finished);
}

}  // namespace husk::agent
