// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/vm_messages.hpp"

#include "lib/guestcomm/protocol/clock.hpp"
#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

/// Not so many that sums with them could overflow.
std::int64_t get_microseconds(const json& object, const char* key) {
  return get_int64_within(object, key, 0, std::int64_t{1} << 50);
}

}  // namespace

void to_json(json& j, const Hello& v) {
  j = json{{"oldest_protocol", v.protocols.oldest},
           {"protocol", v.protocols.newest},
           {"version", v.version}};
  if (!v.secret.empty()) j["secret"] = v.secret;
  if (v.host_time_us) j["host_time_us"] = *v.host_time_us;
}
void from_json(const json& j, Hello& v) {
  v.protocols.newest = get_int(j, "protocol");
  // Absent: from before there were ranges.
  v.protocols.oldest =
      j.contains("oldest_protocol") ? get_int(j, "oldest_protocol") : v.protocols.newest;
  check_range(v.protocols);
  v.version = get_string(j, "version");
  v.secret = get_optional_string(j, "secret").value_or("");
  v.host_time_us.reset();
  if (j.contains("host_time_us"))
    v.host_time_us = get_int64_within(j, "host_time_us", 0, max_wall_clock_us);
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

void to_json(json& j, const ClaimVm& v) { j = json{{"secret", v.secret}, {"entropy", v.entropy}}; }
void from_json(const json& j, ClaimVm& v) {
  v.secret = get_string(j, "secret");
  v.entropy = get_string(j, "entropy");
  if (v.entropy.size() > ClaimVm::max_entropy_bytes) refuse("entropy is too long");
}

void to_json(json& j, const GuestSize& v) {
  j = json{{"plugged_mib", v.plugged_mib}, {"vcpus", v.vcpus}};
}
void from_json(const json& j, GuestSize& v) {
  v.plugged_mib =
      static_cast<std::uint64_t>(get_int64_within(j, "plugged_mib", 0, std::int64_t{1} << 32));
  v.vcpus = get_uint16(j, "vcpus");
}

void to_json(json& j, const ResizeGuest& v) { j = v.wanted; }
void from_json(const json& j, ResizeGuest& v) { v.wanted = j.get<GuestSize>(); }

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

void to_json(json& j, const TakeTrace&) { j = json::object(); }
void from_json(const json&, TakeTrace&) {}

}  // namespace husk::guestcomm
