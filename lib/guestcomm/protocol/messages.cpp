// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/messages.hpp"

#include "lib/base/text.hpp"
#include "lib/guestcomm/protocol/members.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

int get_int(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number_integer()) refuse(std::string(key) + " is not an integer");
  const auto number = value.get<std::int64_t>();
  if (number < INT32_MIN || number > INT32_MAX) refuse(std::string(key) + " is out of range");
  return static_cast<int>(number);
}

std::uint16_t get_uint16(const json& object, const char* key) {
  const int number = get_int(object, key);
  if (number < 0 || number > UINT16_MAX) refuse(std::string(key) + " is out of range");
  return static_cast<std::uint16_t>(number);
}

/// Not so many that sums with them could overflow.
std::int64_t get_microseconds(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number_integer()) refuse(std::string(key) + " is not an integer");
  const auto number = value.get<std::int64_t>();
  if (number < 0 || number > (std::int64_t{1} << 50)) refuse(std::string(key) + " is out of range");
  return number;
}

std::optional<std::string> get_optional_string(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return std::nullopt;
  return get_string(object, key);
}

StreamTokens get_stdio(const json& object) {
  try {
    return read_stdio<std::string>(member(object, "stdio"));
  } catch (const json::exception& e) {
    refuse(std::string("stdio: ") + e.what());
  }
}

/// Bytes from the other side: bounded by the frame, and in depth by parse_json.
json parse(const std::string& payload) { return oci::parse_json(payload, "message"); }

std::string dump(const json& value) {
  // Container data (paths, arguments) need not be UTF-8; a throw here would lose the answer.
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// The other side's text for people: it must neither flood nor steer their terminal.
std::string harmless(std::string text) {
  constexpr std::size_t max_text_bytes = 4u << 10;
  if (text.size() > max_text_bytes) text.resize(max_text_bytes);
  return one_line(std::move(text), '?');
}

Error decode_error(const json& value) {
  const int code = get_int(value, "code");
  const bool known =
      code >= static_cast<int>(Errc::internal) && code <= static_cast<int>(Errc::peer_lost);
  int sys_errno = 0;
  if (value.contains("data") && value["data"].is_object())
    sys_errno = get_int(value["data"], "errno");
  return {known ? static_cast<Errc>(code) : Errc::internal, harmless(get_string(value, "message")),
          sys_errno};
}

}  // namespace

void to_json(json& j, const Hello& v) {
  j = json{{"oldest_protocol", v.protocols.oldest},
           {"protocol", v.protocols.newest},
           {"version", v.version}};
  if (!v.secret.empty()) j["secret"] = v.secret;
}
void from_json(const json& j, Hello& v) {
  v.protocols.newest = get_int(j, "protocol");
  // Absent: from before there were ranges.
  v.protocols.oldest =
      j.contains("oldest_protocol") ? get_int(j, "oldest_protocol") : v.protocols.newest;
  check_range(v.protocols);
  v.version = get_string(j, "version");
  v.secret = get_optional_string(j, "secret").value_or("");
}

void to_json(json& j, const ProcessRef& v) {
  j = json{{"container", v.container}, {"process", v.process}};
}
void from_json(const json& j, ProcessRef& v) {
  v.container = get_string(j, "container");
  v.process = get_string(j, "process");
}

void to_json(json& j, const CreateContainer& v) {
  j = json{{"id", v.id}, {"spec", v.spec}, {"stdio", write_stdio(v.stdio)}};
  if (!v.notify_socket.empty()) j["notify_socket"] = v.notify_socket;
  if (!v.hook_state.empty()) j["hook_state"] = v.hook_state;
}
void from_json(const json& j, CreateContainer& v) {
  v.id = get_string(j, "id");
  member(j, "spec").get_to(v.spec);
  v.stdio = get_stdio(j);
  v.notify_socket = get_optional_string(j, "notify_socket").value_or("");
  v.hook_state = get_optional_string(j, "hook_state").value_or("");
}

void to_json(json& j, const CreateProcess& v) {
  j = v.process;
  j["spec"] = v.spec;
  j["stdio"] = write_stdio(v.stdio);
  j["cgroup"] = v.cgroup;
}
void from_json(const json& j, CreateProcess& v) {
  j.get_to(v.process);
  member(j, "spec").get_to(v.spec);
  v.stdio = get_stdio(j);
  v.cgroup = get_string(j, "cgroup");
}

void to_json(json& j, const ResizeTerminal& v) {
  j = v.process;
  j["rows"] = v.size.rows;
  j["columns"] = v.size.columns;
}
void from_json(const json& j, ResizeTerminal& v) {
  j.get_to(v.process);
  v.size = {get_uint16(j, "rows"), get_uint16(j, "columns")};
}

void to_json(json& j, const SignalProcess& v) {
  j = v.process;
  j["signal"] = v.signal;
  j["all"] = v.all;
}
void from_json(const json& j, SignalProcess& v) {
  j.get_to(v.process);
  v.signal = get_int(j, "signal");
  const json& all = member(j, "all");
  if (!all.is_boolean()) refuse("all is not a boolean");
  v.all = all.get<bool>();
}

void to_json(json& j, const ProcessExited& v) {
  j = v.process;
  j["status"] = v.status;
}
void from_json(const json& j, ProcessExited& v) {
  j.get_to(v.process);
  v.status = get_int(j, "status");
  if (v.status < 0 || v.status > 255) refuse("status is out of range");
}

void to_json(json& j, const SdNotify& v) { j = json{{"text", v.text}}; }
void from_json(const json& j, SdNotify& v) {
  v.text = get_string(j, "text");
  // Bytes that are not UTF-8 were replaced on the way, by three bytes for one.
  if (v.text.size() > 3 * max_notify_bytes) refuse("text is too long");
}

void to_json(json& j, const ProcessList& v) {
  json processes = json::array();
  for (const ListedProcess& one : v.processes) {
    processes.push_back({{"pid", one.pid},
                         {"parent", one.parent},
                         {"uid", one.uid},
                         {"cpu_ms", one.cpu_ms},
                         {"command", one.command}});
  }
  j = json{{"processes", std::move(processes)}, {"is_cut", v.is_cut}};
}
void from_json(const json& j, ProcessList& v) {
  v.processes.clear();
  const json& is_cut = member(j, "is_cut");
  const json& processes = member(j, "processes");
  if (!is_cut.is_boolean() || !processes.is_array())
    refuse("processes is not an array, or is_cut is not a boolean");
  v.is_cut = is_cut.get<bool>();
  for (const json& one : processes) {
    const json& uid = member(one, "uid");
    const json& cpu_ms = member(one, "cpu_ms");
    if (!uid.is_number_unsigned() || uid.get<std::uint64_t>() > UINT32_MAX ||
        !cpu_ms.is_number_unsigned())
      refuse("processes has an invalid entry");
    v.processes.push_back({.pid = get_int(one, "pid"),
                           .parent = get_int(one, "parent"),
                           .uid = uid.get<std::uint32_t>(),
                           .cpu_ms = cpu_ms.get<std::uint64_t>(),
                           .command = harmless(get_string(one, "command"))});
  }
}

void to_json(json& j, const ContainerId& v) { j = json{{"id", v.id}}; }
void from_json(const json& j, ContainerId& v) { v.id = get_string(j, "id"); }

void to_json(json& j, const UpdateContainer& v) {
  j = json{{"id", v.id}, {"resources", v.resources}};
}
void from_json(const json& j, UpdateContainer& v) {
  v.id = get_string(j, "id");
  v.resources = member(j, "resources").get<oci::Resources>();
}

void to_json(json& j, const ConnectPort& v) {
  j = json{
      {"port", v.port}, {"to_container", v.to_container}, {"from_container", v.from_container}};
}
void from_json(const json& j, ConnectPort& v) {
  v.port = get_uint16(j, "port");
  v.to_container = get_string(j, "to_container");
  v.from_container = get_string(j, "from_container");
}

void to_json(json& j, const GuestTrace& v) {
  json spans = json::array();
  for (const GuestSpan& span : v.spans)
    spans.push_back({{"name", span.name}, {"begin_us", span.begin_us}, {"end_us", span.end_us}});
  j = json{{"now_us", v.now_us}, {"spans", std::move(spans)}};
}
void from_json(const json& j, GuestTrace& v) {
  v.now_us = get_microseconds(j, "now_us");
  const json& spans = member(j, "spans");
  if (!spans.is_array() || spans.size() > GuestTrace::max_spans)
    refuse("spans is not an array, or has too many entries");
  v.spans.clear();
  for (const json& span : spans) {
    v.spans.push_back({.name = harmless(get_string(span, "name")),
                       .begin_us = get_microseconds(span, "begin_us"),
                       .end_us = get_microseconds(span, "end_us")});
    if (v.spans.back().begin_us > v.spans.back().end_us)
      refuse("spans has a span that ends before it begins");
  }
}

std::string encode(const Request& request) {
  json j{{"jsonrpc", "2.0"}, {"method", request.method}, {"params", request.params}};
  if (request.id) j["id"] = *request.id;
  return dump(j);
}

std::string encode(const Response& response) {
  json j{{"jsonrpc", "2.0"}, {"id", response.id}};
  if (const auto* error = std::get_if<Error>(&response.outcome)) {
    j["error"] = {{"code", static_cast<int>(error->code())},
                  {"message", error->what()},
                  {"data", {{"errno", error->sys_errno()}}}};
  } else {
    j["result"] = std::get<json>(response.outcome);
  }
  return dump(j);
}

bool is_request(const std::string& payload) {
  const json j = parse(payload);
  return j.is_object() && j.contains("method");
}

Request decode_request(const std::string& payload) {
  json j = parse(payload);
  Request request;
  if (!j.is_object()) refuse("not an object");
  if (j.contains("id")) {
    if (!j["id"].is_number_integer()) refuse("id is not an integer");
    request.id = j["id"].get<std::int64_t>();
  }
  request.method = get_string(j, "method");
  if (j.contains("params")) request.params = std::move(j["params"]);
  return request;
}

Response decode_response(const std::string& payload) {
  json j = parse(payload);
  Response response;
  const json& id = member(j, "id");
  if (!id.is_number_integer()) refuse("id is not an integer");
  response.id = id.get<std::int64_t>();
  if (j.contains("error")) {
    response.outcome = decode_error(j["error"]);
  } else {
    response.outcome = member(j, "result");
  }
  return response;
}

}  // namespace husk::guestcomm
