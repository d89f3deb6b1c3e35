// SPDX-License-Identifier: Apache-2.0
// Carries one standard stream between the caller's descriptor and the guest's stream connection.
#pragma once

#include <pthread.h>

namespace husk::shim {

enum class Direction { to_guest, from_guest };

/// How the guest is told that the stream has ended.
enum class AtEnd { shut_down, nothing };

/// Has a thread of its own, since the caller's descriptors may block and must not be made
/// non-blocking (they are shared with others). Takes over both descriptors and closes them at end
/// of file; a side that cannot be written any more closes the other, so that the guest sees what a
/// closed pipe would show.
class StreamPump {
 public:
  StreamPump(int caller_fd, int guest_fd, Direction direction, AtEnd at_end = AtEnd::shut_down);
  StreamPump(const StreamPump&) = delete;
  StreamPump& operator=(const StreamPump&) = delete;
  ~StreamPump() = default;  ///< the thread ends with the process, or by wait()

  void wait();  ///< until the stream was carried to its end

 private:
  static void* run(void* self);
  void carry() const;

  int caller_fd_, guest_fd_;
  Direction direction_;
  AtEnd at_end_;
  pthread_t thread_{};
};

}  // namespace husk::shim
