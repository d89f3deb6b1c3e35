// SPDX-License-Identifier: Apache-2.0
#include "shim/oom_mark.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "lib/base/deadline.hpp"

namespace husk::shim {
namespace {

constexpr mode_t kind = S_IFREG | 0644;
/// The filter compares the pointer: another name takes a page of another content in this place.
constexpr char file_name[] = "oom";

}  // namespace

void OomMark::allow(AllowedSystemCalls& filter) const {
  if (!bundle_) return;
  filter.allow(SCMP_SYS(mknodat),
               {SCMP_A0(SCMP_CMP_EQ, static_cast<std::uint64_t>(bundle_.get())),
                SCMP_A1(SCMP_CMP_EQ, reinterpret_cast<std::uintptr_t>(&file_name)),
                SCMP_A2(SCMP_CMP_EQ, kind), SCMP_A3(SCMP_CMP_EQ, 0)});
}

void OomMark::make() noexcept {
  was_made_ = true;
  // The filter compares whole registers.
  if (bundle_) ::syscall(SYS_mknodat, long{bundle_.get()}, file_name, static_cast<long>(kind), 0L);
  char byte = 0;
  while (unanswered_ > 0 && ::recv(kills_.get(), &byte, 1, MSG_DONTWAIT) >= 0) --unanswered_;
  // One that the keeper has not counted yet stands for both.
  if (kills_ && unanswered_ == 0 &&
      ::send(kills_.get(), container_.data(), container_.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
    ++unanswered_;
}

void OomMark::make_last(std::chrono::milliseconds patience) noexcept {
  if (!was_made_) make();
  const Deadline deadline(patience);
  while (unanswered_ > 0 && !deadline.passed()) {
    pollfd answer{kills_.get(), POLLIN, 0};
    if (::poll(&answer, 1, deadline.poll_timeout()) <= 0) continue;
    char byte = 0;
    if (::recv(kills_.get(), &byte, 1, MSG_DONTWAIT) < 0) return;  // the keeper is gone
    --unanswered_;
  }
}

}  // namespace husk::shim
