// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/network.hpp"

#include <concepts>
#include <nlohmann/json.hpp>

#include "lib/guestcomm/protocol/members.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

constexpr std::size_t max_entries = 64u << 10;  ///< of one list; the frame has its own limit
constexpr std::size_t max_text_bytes = 4096;

// The fields of each type, once for both directions.

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.valid_lifetime;
}
{
  visit("address", v.address);
  visit("peer", v.peer);
  visit("broadcast", v.broadcast);
  visit("label", v.label);
  visit("scope", v.scope);
  visit("flags", v.flags);
  visit("valid_lifetime", v.valid_lifetime);
  visit("preferred_lifetime", v.preferred_lifetime);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.mac, v.state;
}
{
  visit("address", v.address);
  visit("mac", v.mac);
  visit("state", v.state);
  visit("flags", v.flags);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.queue_length;
}
{
  visit("name", v.name);
  visit("device", v.device);
  visit("mac", v.mac);
  visit("mtu", v.mtu);
  visit("queue_length", v.queue_length);
  visit("flags", v.flags);
  visit("addresses", v.addresses);
  visit("neighbours", v.neighbours);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.gateway;
}
{
  visit("link", v.link);
  visit("gateway", v.gateway);
  visit("weight", v.weight);
  visit("flags", v.flags);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.hops;
}
{
  visit("destination", v.destination);
  visit("source", v.source);
  visit("preferred_source", v.preferred_source);
  visit("table", v.table);
  visit("priority", v.priority);
  visit("tos", v.tos);
  visit("protocol", v.protocol);
  visit("scope", v.scope);
  visit("type", v.type);
  visit("preference", v.preference);
  visit("hops", v.hops);
  visit("metrics", v.metrics);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.goto_priority;
}
{
  visit("is_ipv6", v.is_ipv6);
  visit("priority", v.priority);
  visit("table", v.table);
  visit("action", v.action);
  visit("tos", v.tos);
  visit("protocol", v.protocol);
  visit("is_inverted", v.is_inverted);
  visit("source", v.source);
  visit("destination", v.destination);
  visit("in_link", v.in_link);
  visit("out_link", v.out_link);
  visit("mark", v.mark);
  visit("mark_mask", v.mark_mask);
  visit("goto_priority", v.goto_priority);
  visit("suppress_prefix_length", v.suppress_prefix_length);
  visit("suppress_group", v.suppress_group);
  visit("ip_protocol", v.ip_protocol);
  visit("source_ports", v.source_ports);
  visit("destination_ports", v.destination_ports);
  visit("users", v.users);
}

template <class Visit>
void fields(Visit& visit, auto& v) requires requires {
  v.sysctls;
}
{
  visit("links", v.links);
  visit("routes", v.routes);
  visit("rules", v.rules);
  visit("sysctls", v.sysctls);
  visit("has_dns", v.has_dns);
}

class Writer {
 public:
  explicit Writer(json& object) : object_(object) { object_ = json::object(); }

  template <class T>
  void operator()(const char* key, const T& value) {
    object_[key] = written(value);
  }
  template <class T>
  void operator()(const char* key, const std::optional<T>& value) {
    if (value) (*this)(key, *value);
  }

 private:
  template <class T>
  static json written(const T& value) {
    if constexpr (std::integral<T> || std::same_as<T, std::string>) {
      return value;
    } else {
      json made;
      Writer writer(made);
      fields(writer, value);
      return made;
    }
  }
  template <class T>
  static json written(const std::vector<T>& list) {
    json made = json::array();
    for (const T& one : list) made.push_back(written(one));
    return made;
  }
  template <class T>
  static json written(const std::pair<T, T>& range) {
    return json::array({range.first, range.second});
  }
  template <class K, class T>
  static json written(const std::map<K, T>& map) {
    json made = json::array();  // of pairs: keys can be numbers
    for (const auto& [key, value] : map) made.push_back(json::array({key, value}));
    return made;
  }

  json& object_;
};

class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  template <class T>
  void operator()(const char* key, T& value) {
    if (!object_.contains(key)) refuse(std::string(key) + " is missing");
    read(key, object_.at(key), value);
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& value) {
    value.reset();
    if (object_.contains(key)) read(key, object_.at(key), value.emplace());
  }

 private:
  static void read(const char* key, const json& from, bool& value) {
    if (!from.is_boolean()) refuse(std::string(key) + " is not a boolean");
    value = from.get<bool>();
  }
  template <std::unsigned_integral T>
  static void read(const char* key, const json& from, T& value) {
    if (!from.is_number_unsigned()) refuse(std::string(key) + " is not an unsigned number");
    const auto number = from.get<std::uint64_t>();
    if (number > std::numeric_limits<T>::max()) refuse(std::string(key) + " is out of range");
    value = static_cast<T>(number);
  }
  static void read(const char* key, const json& from, std::string& value) {
    if (!from.is_string()) refuse(std::string(key) + " is not a string");
    value = from.get<std::string>();
    if (value.size() > max_text_bytes) refuse(std::string(key) + " is too long");
    if (value.find('\0') != std::string::npos) refuse(std::string(key) + " has a NUL byte");
  }
  template <class T>
  static void read(const char* key, const json& from, T& value) requires std::is_class_v<T> {
    if (!from.is_object()) refuse(std::string(key) + " is not an object");
    Reader reader(from);
    fields(reader, value);
  }
  template <class T>
  static void read(const char* key, const json& from, std::pair<T, T>& value) {
    if (!from.is_array() || from.size() != 2) refuse(std::string(key) + " is not a pair");
    read(key, from[0], value.first);
    read(key, from[1], value.second);
  }
  template <class T>
  static void read(const char* key, const json& from, std::vector<T>& list) {
    check_list(key, from);
    list.clear();
    for (const json& one : from) read(key, one, list.emplace_back());
  }
  template <class K, class T>
  static void read(const char* key, const json& from, std::map<K, T>& map) {
    check_list(key, from);
    map.clear();
    for (const json& one : from) {
      if (!one.is_array() || one.size() != 2)
        refuse(std::string(key) + " has an entry that is not a pair");
      K name{};
      read(key, one[0], name);
      read(key, one[1], map[name]);
    }
  }
  static void check_list(const char* key, const json& from) {
    if (!from.is_array()) refuse(std::string(key) + " is not a list");
    if (from.size() > max_entries) refuse(std::string(key) + " has too many entries");
  }

  const json& object_;
};

}  // namespace

void to_json(json& j, const Network& v) {
  Writer writer(j);
  fields(writer, v);
}

void from_json(const json& j, Network& v) {
  if (!j.is_object()) refuse("network is not an object");
  Reader reader(j);
  fields(reader, v);
}

void to_json(json& j, const ConfigureNetwork& v) { j = v.network; }
void from_json(const json& j, ConfigureNetwork& v) { j.get_to(v.network); }

}  // namespace husk::guestcomm
