// SPDX-License-Identifier: Apache-2.0
// Stands for the vsock device's host socket: accepts one connection and does what the test says.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "lib/base/unique_fd.hpp"

namespace husk::test {

class HybridPeer {
 public:
  using Behaviour = std::function<void(int connection)>;

  HybridPeer(const std::filesystem::path& path, Behaviour behaviour) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(listener_.get(), 1) != 0)
      throw std::runtime_error("cannot listen on " + path.string());
    thread_ = std::thread([this, behaviour = std::move(behaviour)] {
      const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
      if (connection) behaviour(connection.get());
    });
  }
  HybridPeer(const HybridPeer&) = delete;
  HybridPeer& operator=(const HybridPeer&) = delete;
  ~HybridPeer() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // wakes an accept that nobody answered
    thread_.join();
  }

 private:
  UniqueFd listener_;
  std::thread thread_;
};

inline std::string receive_line(int fd) {
  std::string line;
  for (char byte = 0; ::read(fd, &byte, 1) == 1 && byte != '\n';) line += byte;
  return line;
}

inline void send_text(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

/// Until the other side closes.
inline void await_close(int fd) {
  for (char byte = 0; ::read(fd, &byte, 1) == 1;) {
  }
}

}  // namespace husk::test
