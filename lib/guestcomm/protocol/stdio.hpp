// SPDX-License-Identifier: Apache-2.0
// A process's standard streams, in the same form along the whole way from the caller's descriptors
// to the guest's program. End is what stands for one stream at that place of the way: a token, a
// descriptor, a number.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "lib/base/json_integer.hpp"

namespace husk::guestcomm {

/// Three streams of one direction each; an absent one is /dev/null.
template <class End>
struct Pipes {
  std::optional<End> in, out, err;
};

struct WindowSize {
  unsigned short rows = 0, columns = 0;
  bool operator==(const WindowSize&) const = default;
};

/// One stream of both directions, and a pseudo-terminal at its end.
template <class End>
struct Terminal {
  End stream;
  WindowSize size;
};

template <class End>
using Stdio = std::variant<Pipes<End>, Terminal<End>>;

/// By which a request names the stream connections that it is to have (connections.hpp).
using StreamTokens = Stdio<std::string>;

namespace detail {
template <class End, class Visit>
void visit_ends(Pipes<End>& pipes, Visit& visit) {
  if (pipes.in) visit("stdin", *pipes.in);
  if (pipes.out) visit("stdout", *pipes.out);
  if (pipes.err) visit("stderr", *pipes.err);
}
template <class End, class Visit>
void visit_ends(Terminal<End>& terminal, Visit& visit) {
  visit("terminal", terminal.stream);
}

template <class Value>
Value read_value(const nlohmann::json& json) {
  if constexpr (std::integral<Value>) {
    return get_integer<Value>(json);
  } else {
    return json.template get<Value>();
  }
}
}  // namespace detail

/// visit(name, end) for each stream that is there, always in the same order.
template <class End, class Visit>
void for_each_end(Stdio<End>& stdio, Visit visit) {
  std::visit([&](auto& form) { detail::visit_ends(form, visit); }, stdio);
}

/// The same streams with change(end) in the place of each end.
template <class End, class Change>
auto with_each_end(Stdio<End>& stdio, Change change) {
  using Other = std::decay_t<decltype(change(std::declval<End&>()))>;
  if (auto* terminal = std::get_if<Terminal<End>>(&stdio))
    return Stdio<Other>(Terminal<Other>{change(terminal->stream), terminal->size});
  auto& pipes = std::get<Pipes<End>>(stdio);
  const auto changed = [&](std::optional<End>& end) {
    return end ? std::optional<Other>(change(*end)) : std::nullopt;
  };
  Pipes<Other> others;  // member by member: the order of the calls is promised
  others.in = changed(pipes.in);
  others.out = changed(pipes.out);
  others.err = changed(pipes.err);
  return Stdio<Other>(std::move(others));
}

// As JSON: {"pipes": {"stdin": end, …}} or {"terminal": {"stream": end, "rows": n, "columns": n}}.
// Not as to_json and from_json, which are not found for a name of another type. read_stdio throws
// nlohmann::json::exception, for a number that its type cannot hold as well.
template <class End>
nlohmann::json write_stdio(Stdio<End> stdio) {
  nlohmann::json ends = nlohmann::json::object();
  for_each_end(stdio, [&](const char* name, const End& end) { ends[name] = end; });
  const auto* terminal = std::get_if<Terminal<End>>(&stdio);
  if (terminal == nullptr) return {{"pipes", std::move(ends)}};
  return {{"terminal",
           {{"stream", terminal->stream},
            {"rows", terminal->size.rows},
            {"columns", terminal->size.columns}}}};
}

template <class End>
Stdio<End> read_stdio(const nlohmann::json& json) {
  if (json.contains("terminal")) {
    const nlohmann::json& terminal = json.at("terminal");
    return Terminal<End>{detail::read_value<End>(terminal.at("stream")),
                         {detail::read_value<unsigned short>(terminal.at("rows")),
                          detail::read_value<unsigned short>(terminal.at("columns"))}};
  }
  const nlohmann::json& ends = json.at("pipes");
  Pipes<End> pipes;
  const auto read = [&](const char* name, std::optional<End>& end) {
    if (ends.contains(name)) end = detail::read_value<End>(ends.at(name));
  };
  read("stdin", pipes.in);
  read("stdout", pipes.out);
  read("stderr", pipes.err);
  return pipes;
}

}  // namespace husk::guestcomm
