// SPDX-License-Identifier: Apache-2.0
// libvirt's side: a VM's folder, the listening socket and the FIFO that the ch driver makes, and the start of <emulator>.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ch/additions.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/unix_address.hpp"

namespace husk::test {

using namespace std::chrono_literals;

/// Orphans of this process's children become its own, and so can be counted.
class Reaper {
 public:
  Reaper() { check_sys(::prctl(PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER"); }
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;
  ~Reaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
};

class PlayedLibvirt {
 public:
  explicit PlayedLibvirt(const std::string& program) {
    std::string name = "/tmp/husk-ch-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    folder = name;
    write_additions(program);
    std::filesystem::create_symlink(HUSK_CH, emulator());
    listener = UniqueFd{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const sockaddr_un address = unix_address(folder / "api");
    check_sys(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              "bind");
    check_sys(::listen(listener.get(), 5), "listen");
  }
  PlayedLibvirt(const PlayedLibvirt&) = delete;
  PlayedLibvirt& operator=(const PlayedLibvirt&) = delete;
  ~PlayedLibvirt() {
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  std::string emulator() const { return folder / "cloud-hypervisor"; }

  void write_additions(const std::string& program) const {
    const nlohmann::json additions = {
        {"program", program},
        {"fs", {{{"tag", "husk"}, {"socket", (folder / "fs").string()}}}},
        {"net", nlohmann::json::array()},
        {"vsock", {{"cid", 3}, {"socket", (folder / "vsock").string()}}},
        {"serial_file", (folder / "console").string()}};
    write_file_atomic(folder / ch::additions_file, additions.dump(), 0600);
  }

  /// A program for the additions.
  std::string make_script(const std::string& text) const {
    const std::string path = folder / "program";
    write_file_atomic(path, "#!/bin/sh\n" + text + "\n", 0700);
    return path;
  }

  std::vector<std::string> arguments() const {
    return {emulator(), "--api-socket", "fd=" + std::to_string(api_fd)};
  }

  /// fork; the child has the streams and the listening socket, as libvirt's has.
  void start_with(const std::function<void()>& body) {
    pid = check_sys(::fork(), "fork");
    if (pid != 0) return;
    ::dup2(listener.get(), api_fd);
    close_other_descriptors({api_fd});
    body();
    ::_exit(126);
  }
  void start(std::vector<std::string> more = {}) {
    std::vector<std::string> all = arguments();
    all.insert(all.end(), more.begin(), more.end());
    start_with([&] {
      std::vector<char*> argv;
      for (std::string& argument : all) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
    });
  }

  UniqueFd connect() const {
    UniqueFd socket{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const sockaddr_un address = unix_address(folder / "api");
    check_sys(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              "connect");
    return socket;
  }

  /// The exit status of the process, which has to end soon.
  int exit_status() {
    const Deadline deadline(5s);
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0) {
      if (deadline.passed()) throw std::runtime_error("the process does not end");
      std::this_thread::sleep_for(2ms);
    }
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// Reaps the processes that were left to the Reaper, which have to end soon; returns their exit statuses.
  std::vector<int> reap_orphans() const {
    std::vector<int> statuses;
    const Deadline deadline(5s);
    for (;;) {
      const std::string left = children();
      if (left.empty() || left == std::to_string(pid) + " ") return statuses;
      if (deadline.passed()) throw std::runtime_error("processes remain: " + left);
      for (const pid_t child : pids_in(left)) {
        int status = 0;
        if (child != pid && ::waitpid(child, &status, WNOHANG) == child) statuses.push_back(status);
      }
      std::this_thread::sleep_for(2ms);
    }
  }

  /// Zombies included.
  static std::string children(const std::string& of = "self") {
    std::string all;
    const std::filesystem::path tasks = "/proc/" + of + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks))
      all += read_file(task.path() / "children", 65536);
    return all;
  }

  static constexpr int api_fd = 23;
  std::filesystem::path folder;
  UniqueFd listener;
  pid_t pid = -1;

 private:
  static std::vector<pid_t> pids_in(const std::string& text) {
    std::vector<pid_t> pids;
    for (std::size_t at = 0; at < text.size(); at = text.find(' ', at) + 1)
      pids.push_back(std::stoi(text.substr(at)));
    return pids;
  }
};

inline std::string http_request(const std::string& line, const std::string& body = "") {
  return line + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace husk::test
