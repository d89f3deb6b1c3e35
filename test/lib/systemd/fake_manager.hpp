// SPDX-License-Identifier: Apache-2.0
// systemd's manager as far as husk asks it: a D-Bus server at /run/systemd/private that knows units by
// name and description.
#pragma once

#include <systemd/sd-bus.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.hpp"

namespace husk::systemd {

/// A unit that husk asked for.
struct StartRequest {
  std::string unit;
  std::string mode;                               ///< "replace", "fail"
  std::map<std::string, std::string> properties;  ///< "u 5": the value with its D-Bus type in front
  std::string standard_input;                     ///< what the descriptor passed for it holds
};

/// How a method is answered when not as systemd does.
struct Fault {
  enum class Kind { refusal, silence, hang_up, wrong_type };
  Kind kind = Kind::refusal;
  const char* name = "org.freedesktop.DBus.Error.AccessDenied";
  const char* text = "Access denied";
};

/// When the end of a job is told.
enum class JobEnd { after_the_answer, before_the_answer, never };

/// Answers until it is destroyed, one connection at a time. It puts the calling thread, and the
/// threads that this one makes, into a mount namespace with a /run of their own.
class FakeManager {
 public:
  FakeManager();
  FakeManager(const FakeManager&) = delete;
  FakeManager& operator=(const FakeManager&) = delete;
  ~FakeManager();

  /// Somebody else's unit, active from now on.
  void add(const std::string& unit, const std::string& description);
  /// A unit that failed: its name is taken until ResetFailedUnit.
  void add_failed(const std::string& unit, const std::string& description);
  /// Every call of the method is answered in this way from now on.
  void break_method(const std::string& method, const Fault& fault);
  /// The result of all jobs from now on: "done", "failed", "timeout", ...
  void end_jobs_as(const std::string& result, JobEnd when = JobEnd::after_the_answer);
  /// The calls of StartTransientUnit so far, whatever came of them.
  std::vector<StartRequest> requests() const;
  /// The properties of units that were set later, as in StartRequest.
  std::map<std::string, std::map<std::string, std::string>> changes() const;
  /// How often the method was called.
  unsigned calls(const std::string& method) const;
  /// The units that are loaded, active or failed, with their descriptions.
  std::map<std::string, std::string> units() const;

 private:
  void serve();
  void serve_connection(int fd);
  static int on_message(sd_bus_message* message, void* self, sd_bus_error* error);
  int answer(sd_bus_message* call);
  int answer_wrongly(sd_bus_message* call, const Fault& fault);
  int start(sd_bus_message* call);
  int stop(sd_bus_message* call);
  int reset(sd_bus_message* call);
  int set_properties(sd_bus_message* call);
  int get_unit(sd_bus_message* call) const;
  int get_description(sd_bus_message* call) const;
  int finish_job(sd_bus_message* call, const std::string& unit);
  void tell_end(sd_bus_message* call, unsigned number, const std::string& unit);

  mutable std::mutex mutex_;
  std::map<std::string, std::string> units_;
  std::set<std::string> failed_;
  std::map<std::string, Fault> faults_;
  std::map<std::string, unsigned> calls_;
  std::vector<StartRequest> requests_;
  std::map<std::string, std::map<std::string, std::string>> changes_;
  std::string job_result_ = "done";
  JobEnd job_end_ = JobEnd::after_the_answer;
  bool hang_up_ = false;  // of the serving thread
  unsigned jobs_ = 0;
  std::atomic<bool> ending_ = false;
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace husk::systemd
