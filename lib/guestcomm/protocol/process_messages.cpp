// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/process_messages.hpp"

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {

using nlohmann::json;

void to_json(json& j, const StartProcess& v) { j = v.process; }
void from_json(const json& j, StartProcess& v) { j.get_to(v.process); }

void to_json(json& j, const OwnProcess& v) { j = v.process; }
void from_json(const json& j, OwnProcess& v) { j.get_to(v.process); }

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
  v.all = get_bool(j, "all");
}

void to_json(json& j, const ProcessExited& v) {
  j = v.process;
  j["status"] = v.status;
  if (v.out_of_memory) j["out_of_memory"] = true;
}
void from_json(const json& j, ProcessExited& v) {
  j.get_to(v.process);
  v.status = get_int(j, "status");
  v.out_of_memory = j.value("out_of_memory", false);
  if (v.status < 0 || v.status > 255) refuse("status is out of range");
}

void to_json(json& j, const SdNotify& v) { j = json{{"text", v.text}}; }
void from_json(const json& j, SdNotify& v) {
  v.text = get_string(j, "text");
  // Bytes that are not UTF-8 were replaced on the way, by three bytes for one.
  if (v.text.size() > 3 * max_notify_bytes) refuse("text is too long");
}

}  // namespace husk::guestcomm
