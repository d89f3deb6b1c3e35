// SPDX-License-Identifier: Apache-2.0
#include "test/lib/systemd/fake_manager.hpp"

#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "lib/base/error.hpp"
#include "test/lib/base/private_mounts.hpp"
#include "test/lib/systemd/message_text.hpp"

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

std::string job_object(unsigned number) {
  return std::string(manager_object) + "/job/" + std::to_string(number);
}

std::string unit_of(const char* object) {
  char* name = nullptr;
  sd_bus_path_decode(object, unit_prefix, &name);
  std::string unit = name != nullptr ? name : "";
  std::free(name);
  return unit;
}

std::string find_text(const std::map<std::string, std::string>& properties,
                      const std::string& name) {
  const auto found = properties.find(name);
  return found == properties.end() ? "" : found->second.substr(found->second.find(' ') + 1);
}

/// The descriptor belongs to the message, and is closed with it.
std::string read_standard_input(const std::map<std::string, std::string>& properties) {
  const std::string number = find_text(properties, "StandardInputFileDescriptor");
  std::array<char, 100> bytes{};
  if (number.empty()) return {};
  const ssize_t size = ::pread(std::stoi(number), bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
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

void FakeManager::add_failed(const std::string& unit, const std::string& description) {
  add(unit, description);
  const std::lock_guard lock(mutex_);
  failed_.insert(unit);
}

void FakeManager::break_method(const std::string& method, const Fault& fault) {
  const std::lock_guard lock(mutex_);
  faults_[method] = fault;
}

void FakeManager::end_jobs_as(const std::string& result, JobEnd when) {
  const std::lock_guard lock(mutex_);
  job_result_ = result;
  job_end_ = when;
}

std::vector<StartRequest> FakeManager::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::map<std::string, std::map<std::string, std::string>> FakeManager::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

unsigned FakeManager::calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(method);
  return found == calls_.end() ? 0 : found->second;
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
  sd_bus_negotiate_fds(bus, 1);
  sd_bus_set_server(bus, 1, sd_id128_t{{1}});
  sd_bus_set_sender(bus, "org.freedesktop.systemd1");  // as systemd on its own socket
  sd_bus_add_filter(bus, nullptr, on_message, this);
  sd_bus_start(bus);
  hang_up_ = false;
  while (!ending_ && !hang_up_) {
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
  const std::string method = sd_bus_message_get_member(call);
  ++calls_[method];
  if (const auto fault = faults_.find(method); fault != faults_.end())
    return answer_wrongly(call, fault->second);
  if (method == "StartTransientUnit") return start(call);
  if (method == "StopUnit") return stop(call);
  if (method == "GetUnit") return get_unit(call);
  if (method == "Get") return get_description(call);
  if (method == "SetUnitProperties") return set_properties(call);
  if (method == "ResetFailedUnit") return reset(call);
  return sd_bus_reply_method_return(call, "");  // Subscribe
}

int FakeManager::answer_wrongly(sd_bus_message* call, const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::refusal:
      return sd_bus_reply_method_errorf(call, fault.name, "%s", fault.text);
    case Fault::Kind::wrong_type:
      return sd_bus_reply_method_return(call, "u", 7U);
    case Fault::Kind::hang_up:
      hang_up_ = true;
      break;
    case Fault::Kind::silence:
      break;
  }
  return 1;
}

int FakeManager::start(sd_bus_message* call) {
  StartRequest request{
      .unit = read_string(call), .mode = read_string(call), .properties = {}, .standard_input = {}};
  request.properties = read_properties(call);
  request.standard_input = read_standard_input(request.properties);
  requests_.push_back(request);
  if (units_.contains(request.unit))
    return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.UnitExists",
                                      "Unit %s was already loaded or has a fragment file.",
                                      request.unit.c_str());
  units_[request.unit] = find_text(request.properties, "Description");
  if (job_result_ != "done") failed_.insert(request.unit);
  return finish_job(call, request.unit);
}

int FakeManager::reset(sd_bus_message* call) {
  const std::string unit = read_string(call);
  if (failed_.erase(unit) != 0) units_.erase(unit);
  return sd_bus_reply_method_return(call, "");
}

int FakeManager::set_properties(sd_bus_message* call) {
  const std::string unit = read_string(call);
  int is_runtime = 0;
  sd_bus_message_read(call, "b", &is_runtime);
  if (!units_.contains(unit) || is_runtime == 0)
    return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.NoSuchUnit",
                                      "Unit %s not loaded.", unit.c_str());
  for (const auto& [name, value] : read_properties(call)) changes_[unit][name] = value;
  return sd_bus_reply_method_return(call, "");
}

int FakeManager::stop(sd_bus_message* call) {
  const std::string unit = read_string(call);
  if (failed_.contains(unit)) return finish_job(call, unit);
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
  if (job_end_ == JobEnd::before_the_answer) tell_end(call, number, unit);
  const int replied = sd_bus_reply_method_return(call, "o", job_object(number).c_str());
  if (job_end_ == JobEnd::after_the_answer) tell_end(call, number, unit);
  return replied;
}

/// Another unit's job ends first, with another result: systemd tells of all jobs.
void FakeManager::tell_end(sd_bus_message* call, unsigned number, const std::string& unit) {
  const auto tell = [&](unsigned job, const char* whose, const char* result) {
    sd_bus_emit_signal(sd_bus_message_get_bus(call), manager_object, manager_interface,
                       "JobRemoved", "uoss", job, job_object(job).c_str(), whose, result);
  };
  tell(number + 1000, "other.service", "canceled");
  tell(number, unit.c_str(), job_result_.c_str());
}

}  // namespace husk::systemd
