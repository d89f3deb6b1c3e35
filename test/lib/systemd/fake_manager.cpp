// SPDX-License-Identifier: Apache-2.0
#include "test/lib/systemd/fake_manager.hpp"

#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "lib/base/error.hpp"
#include "test/lib/base/private_mounts.hpp"

namespace husk::systemd {
namespace {

constexpr const char* socket_path = "/run/systemd/private";
constexpr const char* manager_object = "/org/freedesktop/systemd1";
constexpr const char* manager_interface = "org.freedesktop.systemd1.Manager";
constexpr const char* unit_prefix = "/org/freedesktop/systemd1/unit";
constexpr int turn_ms = 20;

void enter_own_run() {
  test::enter_private_mounts();
  check_sys(::mount("run", "/run", "tmpfs", 0, nullptr), "mount a tmpfs on /run");
  check_sys(::mkdir("/run/systemd", 0755), "mkdir");
}

UniqueFd listen_on_socket() {
  UniqueFd listener{check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
  check_sys(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "bind");
  check_sys(::listen(listener.get(), 8), "listen");
  return listener;
}

std::string read_string(sd_bus_message* message, char type = 's') {
  const char* text = nullptr;
  if (sd_bus_message_read_basic(message, type, static_cast<void*>(&text)) < 0 || text == nullptr)
    return {};
  return text;
}

std::string object_of(const std::string& unit) {
  char* path = nullptr;
  sd_bus_path_encode(unit_prefix, unit.c_str(), &path);
  std::string object = path;
  std::free(path);
  return object;
}

std::string unit_of(const char* object) {
  char* name = nullptr;
  sd_bus_path_decode(object, unit_prefix, &name);
  std::string unit = name != nullptr ? name : "";
  std::free(name);
  return unit;
}

/// The last Description of an array of properties, as systemd reads it.
std::string read_description(sd_bus_message* call) {
  std::string description;
  sd_bus_message_enter_container(call, 'a', "(sv)");
  while (sd_bus_message_enter_container(call, 'r', "sv") > 0) {
    if (read_string(call) == "Description") {
      sd_bus_message_enter_container(call, 'v', "s");
      description = read_string(call);
      sd_bus_message_exit_container(call);
    } else {
      sd_bus_message_skip(call, "v");
    }
    sd_bus_message_exit_container(call);
  }
  return description;
}

}  // namespace

FakeManager::FakeManager() {
  enter_own_run();
  listener_ = listen_on_socket();
  thread_ = std::thread([this] { serve(); });
}

FakeManager::~FakeManager() {
  ending_ = true;
  thread_.join();
}

void FakeManager::add(const std::string& unit, const std::string& description) {
  const std::lock_guard lock(mutex_);
  units_[unit] = description;
}

std::map<std::string, std::string> FakeManager::units() const {
  const std::lock_guard lock(mutex_);
  return units_;
}

void FakeManager::serve() {
  while (!ending_) {
    pollfd polled{listener_.get(), POLLIN, 0};
    if (::poll(&polled, 1, turn_ms) <= 0) continue;
    const int connection =
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection >= 0) serve_connection(connection);
  }
}

/// Takes over the descriptor.
void FakeManager::serve_connection(int fd) {
  sd_bus* bus = nullptr;
  sd_bus_new(&bus);
  sd_bus_set_fd(bus, fd, fd);
  sd_bus_set_server(bus, 1, sd_id128_t{{1}});
  sd_bus_set_sender(bus, "org.freedesktop.systemd1");  // as systemd on its own socket
  sd_bus_add_filter(bus, nullptr, on_message, this);
  sd_bus_start(bus);
  while (!ending_) {
    const int processed = sd_bus_process(bus, nullptr);
    if (processed < 0) break;  // the client has gone
    if (processed == 0) sd_bus_wait(bus, turn_ms * 1000U);
  }
  sd_bus_flush_close_unref(bus);
}

int FakeManager::on_message(sd_bus_message* message, void* self, sd_bus_error*) {
  if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0) return 0;
  return static_cast<FakeManager*>(self)->answer(message);
}

int FakeManager::answer(sd_bus_message* call) {
  const std::lock_guard lock(mutex_);
  const std::string_view method = sd_bus_message_get_member(call);
  if (method == "StartTransientUnit") return start(call);
  if (method == "StopUnit") return stop(call);
  if (method == "GetUnit") return get_unit(call);
  if (method == "Get") return get_description(call);
  return sd_bus_reply_method_return(call, "");  // Subscribe, ResetFailedUnit
}

int FakeManager::start(sd_bus_message* call) {
  const std::string unit = read_string(call);
  read_string(call);  // the mode
  if (units_.contains(unit))
    return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.UnitExists",
                                      "Unit %s was already loaded or has a fragment file.",
                                      unit.c_str());
  units_[unit] = read_description(call);
  return finish_job(call, unit);
}

int FakeManager::stop(sd_bus_message* call) {
  const std::string unit = read_string(call);
  if (units_.erase(unit) == 0)
    return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.NoSuchUnit",
                                      "Unit %s not loaded.", unit.c_str());
  return finish_job(call, unit);
}

int FakeManager::get_unit(sd_bus_message* call) const {
  const std::string unit = read_string(call);
  if (!units_.contains(unit))
    return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.NoSuchUnit",
                                      "Unit %s not loaded.", unit.c_str());
  return sd_bus_reply_method_return(call, "o", object_of(unit).c_str());
}

int FakeManager::get_description(sd_bus_message* call) const {
  const auto found = units_.find(unit_of(sd_bus_message_get_path(call)));
  const std::string interface = read_string(call), property = read_string(call);
  if (found == units_.end() || interface != "org.freedesktop.systemd1.Unit" ||
      property != "Description")
    return sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.UnknownProperty",
                                      "unknown");
  return sd_bus_reply_method_return(call, "v", "s", found->second.c_str());
}

int FakeManager::finish_job(sd_bus_message* call, const std::string& unit) {
  const unsigned number = ++jobs_;
  const std::string job = std::string(manager_object) + "/job/" + std::to_string(number);
  const int replied = sd_bus_reply_method_return(call, "o", job.c_str());
  sd_bus_emit_signal(sd_bus_message_get_bus(call), manager_object, manager_interface, "JobRemoved",
                     "uoss", number, job.c_str(), unit.c_str(), "done");
  return replied;
}

}  // namespace husk::systemd
