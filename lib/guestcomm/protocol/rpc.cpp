// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/protocol/rpc.hpp"

#include "lib/guestcomm/protocol/members.hpp"
#include "lib/oci/bundle.hpp"

namespace husk::guestcomm {
namespace {

using nlohmann::json;

/// Bytes from the other side: bounded by the frame, and in depth by parse_json.
json parse(const std::string& payload) { return oci::parse_json(payload, "message"); }

std::string dump(const json& value) {
  // Container data (paths, arguments) need not be UTF-8; a throw here would lose the answer.
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
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
  if (j.contains("id")) request.id = get_int64(j, "id");
  request.method = get_string(j, "method");
  if (j.contains("params")) request.params = std::move(j["params"]);
  return request;
}

Response decode_response(const std::string& payload) {
  json j = parse(payload);
  Response response;
  response.id = get_int64(j, "id");
  if (j.contains("error")) {
    response.outcome = decode_error(j["error"]);
  } else {
    response.outcome = member(j, "result");
  }
  return response;
}

}  // namespace husk::guestcomm
