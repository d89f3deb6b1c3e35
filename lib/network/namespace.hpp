// SPDX-License-Identifier: Apache-2.0
// Network namespaces of the host: naming one, and working in one. A netlink socket, and what is below
// /proc/sys/net, belong to the namespace that one is in when opening them.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/process.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::network {

/// An open network namespace; it stays as long as this does, whoever else leaves it.
class NetworkNamespace {
 public:
  /// Throws system if there is no such process or file, invalid_argument "<path>: not a network
  /// namespace".
  static NetworkNamespace of_path(const std::filesystem::path& path);
  /// The namespace of exactly this process. Throws peer_lost "process 17: has ended" if it has, although another process
  /// may have its pid by now; system.
  static NetworkNamespace of_process(const ProcessIdentity& process);
  static NetworkNamespace current();
  /// A new one, with nothing in it but its loopback. Throws system.
  static NetworkNamespace make();

  NetworkNamespace duplicate() const;  ///< throws system

  int fd() const noexcept { return fd_.get(); }
  const std::string& name() const noexcept { return name_; }  ///< the path it was opened by
  /// Whether the host's own network is in it: the namespace of this thread, or that of process 1 as
  /// far as husk may open it. Throws system.
  bool is_the_hosts() const;
  /// Whether both are the same namespace.
  bool operator==(const NetworkNamespace& other) const;

 private:
  NetworkNamespace(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  UniqueFd fd_;
  std::string name_;
};

/// Throws unsupported "network namespace <path>: is the host's, which a VM cannot join".
void refuse_the_hosts(const NetworkNamespace& ns);

/// While it lives, the calling thread is in that namespace; other threads are where they were. Ends
/// the program if it cannot come back: nothing may go on in the wrong namespace.
class InNetworkNamespace {
 public:
  explicit InNetworkNamespace(const NetworkNamespace& there);  ///< throws system
  InNetworkNamespace(const InNetworkNamespace&) = delete;
  InNetworkNamespace& operator=(const InNetworkNamespace&) = delete;
  ~InNetworkNamespace();

 private:
  NetworkNamespace back_;
};

}  // namespace husk::network
