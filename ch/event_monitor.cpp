// SPDX-License-Identifier: Apache-2.0
#include "ch/event_monitor.hpp"

#include <fcntl.h>

#include <chrono>
#include <thread>

#include "lib/base/error.hpp"

namespace husk::ch {
namespace {

constexpr std::chrono::milliseconds retry_interval{2};

}  // namespace

// libvirt's open(2) for reading waits until somebody opens the FIFO for writing, and libvirt sends nothing before that.
// Not O_RDWR, which would succeed at once: should this process then fail, and end before libvirt opens the FIFO,
// libvirt would wait for ever. Not a blocking open either: it has no time limit. Once the open for writing has
// succeeded, libvirt's returns whatever happens next: fifo(7) counts writers that have been there.
UniqueFd open_event_monitor(const std::string& path, const Deadline& deadline) {
  for (;;) {
    UniqueFd fifo{::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
    if (fifo) return fifo;
    if (errno == ENOENT) return {};  // Cloud Hypervisor makes a file then: nobody waits for it
    if (errno != ENXIO && errno != EINTR) throw_errno("open " + path);
    if (deadline.passed()) throw Error(Errc::timed_out, path + ": nobody reads the events");
    std::this_thread::sleep_for(retry_interval);
  }
}

}  // namespace husk::ch
