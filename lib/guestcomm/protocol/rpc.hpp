// SPDX-License-Identifier: Apache-2.0
// JSON-RPC 2.0 envelopes around the messages of this directory, each in one frame (frame.hpp). An Error
// travels as {"code": Errc, "message": text, "data": {"errno": n}}.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

#include "lib/base/error.hpp"

namespace husk::guestcomm {

/// The outcome of a request.
using Outcome = std::variant<nlohmann::json, Error>;

struct Request {
  std::optional<std::int64_t> id;  ///< empty: a notification
  std::string method;
  nlohmann::json params;

  template <class Message>
  bool is() const {
    return method == Message::method;
  }
};
struct Response {
  std::int64_t id = 0;
  Outcome outcome;
};

template <class Message>
Request make_request(std::int64_t id, const Message& message) {
  return {id, std::string(Message::method), message};
}
template <class Message>
Request make_notification(const Message& message) {
  return {std::nullopt, std::string(Message::method), message};
}

std::string encode(const Request& request);
std::string encode(const Response& response);
/// Throw invalid_argument on anything that is not what it should be; never on content of params.
Request decode_request(const std::string& payload);
Response decode_response(const std::string& payload);
bool is_request(const std::string& payload);  ///< has a "method": a request or notification

}  // namespace husk::guestcomm
