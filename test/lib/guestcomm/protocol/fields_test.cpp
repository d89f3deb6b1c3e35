// SPDX-License-Identifier: Apache-2.0
// Every message of the protocol: comes as it was sent, and is refused by the name of the field that is wrong.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"
#include "lib/guestcomm/protocol/create_messages.hpp"
#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/guestcomm/protocol/process_list.hpp"
#include "lib/guestcomm/protocol/process_messages.hpp"
#include "lib/guestcomm/protocol/statistics.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"
#include "lib/oci/example.hpp"

using namespace husk;
using namespace husk::guestcomm;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using nlohmann::json;

namespace {

/// One type of message, by an example with no field at its default.
struct MessageType {
  std::string name;
  json example;
  std::function<json(const json&)> again;  ///< reads a message and writes it
  std::set<std::string> optional = {};     ///< fields that need not be there
};

template <class Message>
MessageType message_type(const char* name, const Message& example,
                         std::set<std::string> optional = {}) {
  return {name, json::parse(json(example).dump()),
          [](const json& message) { return json(message.get<Message>()); }, std::move(optional)};
}

CreateContainer example_container() {
  return {.id = "c1",
          .spec = oci::example_spec(false, 0, 0),
          .stdio = Pipes<std::string>{"in", "out", "err"},
          .notify_socket = "/run/notify.sock",
          .hook_state = R"({"pid": 1})",
          .namespaces = {{.type = "ipc", .name = "4:1"}}};
}

CreateProcess example_process() {
  CreateProcess example{.process = {"c1", "p1"},
                        .spec = oci::example_spec(false, 0, 0).process.value(),
                        .stdio = Terminal<std::string>{"token", {24, 80}},
                        .cgroup = "below"};
  return example;
}

ContainerStatistics example_statistics() {
  ContainerStatistics example;
  example.cpu = {{"usage_usec", 1}};
  example.memory = {{"anon", 2}};
  example.memory_events = {{"oom_kill", 3}};
  example.memory_used = example.memory_limit = example.memory_peak = 4;
  example.swap_used = example.swap_limit = example.processes = example.process_limit = UINT64_MAX;
  example.interfaces = {{"eth0", {{"rx_bytes", 5}}}};
  return example;
}

oci::Resources example_resources() {
  json resources{{"memory", {{"limit", 4096}}}};
  return resources.get<oci::Resources>();
}

std::vector<MessageType> messages_of_processes() {
  const ProcessRef process{"c1", "p1"};
  return {message_type("create_process", example_process()),
          message_type("start_process", StartProcess{process}),
          message_type("own_process", OwnProcess{process}),
          message_type("resize_terminal", ResizeTerminal{process, {24, 65535}}),
          message_type("signal_process", SignalProcess{process, 9, true}),
          message_type("process_exited", ProcessExited{process, 255}),
          message_type("sd_notify", SdNotify{"READY=1"}),
          message_type("list_processes", ListProcesses{"c1"}),
          message_type("a list of processes",
                       ProcessList{{{INT32_MAX, 1, UINT32_MAX, UINT64_MAX, "sh"}}, true})};
}

std::vector<MessageType> messages_of_containers() {
  return {message_type("create_container", example_container(),
                       {"notify_socket", "hook_state", "namespaces"}),
          message_type("pause_container", PauseContainer{"c1"}),
          message_type("resume_container", ResumeContainer{"c1"}),
          message_type("update_container", UpdateContainer{"c1", example_resources()}),
          message_type("delete_container", DeleteContainer{"c1"}),
          message_type("container_statistics", ReadStatistics{"c1"}),
          message_type("statistics", example_statistics(),
                       {"memory_used", "memory_limit", "memory_peak", "swap_used", "swap_limit",
                        "processes", "process_limit"}),
          message_type("watch_container", WatchContainer{"c1"}),
          message_type("container_event", ContainerEvent{"c1", ContainerEvent::Type::stopped})};
}

std::vector<MessageType> messages_of_vms() {
  return {message_type("resize_guest", ResizeGuest{{.plugged_mib = 512, .vcpus = 2}}),
          message_type("claim_vm", ClaimVm{"secret", "entropy"}),
          message_type("hello", Hello{{2, 4}, "1.0", "secret", max_wall_clock_us},
                       {"oldest_protocol", "secret", "host_time_us"}),
          message_type("a clock", GuestClock{max_wall_clock_us}),
          message_type("correct_clock", CorrectClock{{-max_wall_clock_us, 7}}),
          message_type("a correction", ClockCorrection{ClockChange::step}),
          message_type("connect_port", ConnectPort{65535, "in", "out"}),
          message_type("a trace", GuestTrace{std::int64_t{1} << 50, {{"kernel", 1, 2}}}),
          message_type("configure_network",
                       ConfigureNetwork{{{}, {}, {}, {{"ipv4/ip_forward", "1"}}, true}}),
          message_type("dns_query", DnsQuery{UINT32_MAX, true, "ab"}),
          message_type("answer_dns", DnsAnswer{UINT32_MAX, "ab"})};
}

std::vector<MessageType> all_messages() {
  std::vector<MessageType> all = messages_of_processes();
  for (MessageType& type : messages_of_containers()) all.push_back(std::move(type));
  for (MessageType& type : messages_of_vms()) all.push_back(std::move(type));
  return all;
}

/// Values of other types than `fine`, and numbers that no field of the protocol holds.
std::vector<json> values_unlike(const json& fine) {
  std::vector<json> values;
  for (const json& value : {json(), json(true), json("wrong"), json(1.5), json(1e111), json(-1),
                            json::array({7}), json::object(), json(INT64_MAX)})
    if (value.type() != fine.type() && !(value.is_number_integer() && fine.is_number_integer()))
      values.push_back(value);
  if (fine.is_object()) values.erase(std::remove(values.begin(), values.end(), json()));
  return values;
}

/// The text of the error that reading `message` throws; any other exception leaves.
std::string text_of_refusal(const MessageType& type, const json& message) {
  try {
    type.again(message);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::invalid_argument);
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("fields: every message comes as it was sent", "[guestcomm]") {
  for (const MessageType& type : all_messages()) {
    CAPTURE(type.name);
    CHECK(type.again(type.example) == type.example);
  }
}

TEST_CASE("fields: what a newer side says in addition is passed over", "[guestcomm]") {
  for (const MessageType& type : all_messages()) {
    CAPTURE(type.name);
    json message = type.example;
    message["said_by_a_newer_side"] = {{"id", 7}};
    CHECK(type.again(message) == type.example);
  }
}

TEST_CASE("fields: one that is missing is named, but for those of newer sides", "[guestcomm]") {
  for (const MessageType& type : all_messages()) {
    for (const auto& [key, value] : type.example.items()) {
      CAPTURE(type.name, key);
      json message = type.example;
      message.erase(key);
      if (type.optional.contains(key))
        CHECK_NOTHROW(type.again(message));
      else
        CHECK(text_of_refusal(type, message) == "malformed message: " + key + " is missing");
    }
  }
}

TEST_CASE("fields: one of another type is named", "[guestcomm]") {
  const std::set<std::string> of_the_bundle{"spec", "resources"};  // test_oci: what lib/oci says
  for (const MessageType& type : all_messages()) {
    for (const auto& [key, value] : type.example.items()) {
      if (of_the_bundle.contains(key)) continue;
      for (const json& wrong : values_unlike(value)) {
        CAPTURE(type.name, key, wrong.dump());
        json message = type.example;
        message[key] = wrong;
        const std::string text = text_of_refusal(type, message);
        CHECK_THAT(text, StartsWith("malformed message: "));
        CHECK_THAT(text, ContainsSubstring(key) || ContainsSubstring("DNS message: "));
      }
    }
  }
}

TEST_CASE("fields: a number above the greatest signed one is no negative number", "[guestcomm]") {
  // json::get<std::int64_t> makes -1, -9 and 1 of these.
  const std::vector<std::uint64_t> numbers{UINT64_MAX, UINT64_MAX - 8, std::uint64_t{1} << 63};
  for (const MessageType& type : all_messages()) {
    for (const char* key : {"signal", "status", "protocol", "oldest_protocol", "port", "rows",
                            "columns", "now_us", "number"}) {
      if (!type.example.contains(key)) continue;
      for (const std::uint64_t number : numbers) {
        CAPTURE(type.name, key, number);
        json message = type.example;
        message[key] = number;
        CHECK_THAT(text_of_refusal(type, message), StartsWith("malformed message: "));
      }
    }
  }
  const json list = ProcessList{{{2, 1, 0, 0, "sh"}}, false};
  for (const char* key : {"pid", "parent"}) {
    json message = list;
    message["processes"][0][key] = UINT64_MAX;
    CAPTURE(key);
    CHECK_THROWS_WITH(message.get<ProcessList>(),
                      std::string("malformed message: ") + key + " is out of range");
  }
}

TEST_CASE("fields: what is no object is no message", "[guestcomm]") {
  for (const MessageType& type : all_messages()) {
    for (const json& message : {json(), json(7), json("c1"), json::array({"c1"}), json(true)}) {
      CAPTURE(type.name, message.dump());
      CHECK_THAT(text_of_refusal(type, message), StartsWith("malformed message: "));
    }
  }
}

TEST_CASE("fields: the size of a terminal is refused and not cut", "[guestcomm]") {
  const MessageType create = message_type("create_process", example_process());
  for (const char* key : {"rows", "columns"}) {
    for (const json& wrong : {json(65536), json(-1), json(1.5), json(1e111), json(true), json("24"),
                              json(UINT64_MAX)}) {
      CAPTURE(key, wrong.dump());
      json message = create.example;
      message["stdio"]["terminal"][key] = wrong;
      CHECK_THAT(text_of_refusal(create, message), StartsWith("malformed message: stdio: "));
    }
  }
}

TEST_CASE("fields: sd_notify's text is refused from three times its limit on", "[guestcomm]") {
  // Three bytes stand for one that is not UTF-8.
  const auto of_size = [](std::size_t bytes) {
    return json{{"text", std::string(bytes, 'x')}}.get<SdNotify>().text.size();
  };
  CHECK(of_size(3 * max_notify_bytes) == 3 * max_notify_bytes);
  CHECK_THROWS_WITH(of_size(3 * max_notify_bytes + 1), "malformed message: text is too long");
}
