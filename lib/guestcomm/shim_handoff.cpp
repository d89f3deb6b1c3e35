// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/shim_handoff.hpp"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

namespace husk::guestcomm {
namespace {
constexpr std::size_t max_packet_bytes = 4096;
}  // namespace

void send_handoff(int socket, const ShimHandoff& handoff, const std::vector<int>& descriptors) {
  const std::string text = nlohmann::json{{"id", handoff.container_id},
                                          {"stdin", handoff.has_stdin},
                                          {"stdout", handoff.has_stdout},
                                          {"stderr", handoff.has_stderr},
                                          {"message_patience_ms", handoff.message_patience.count()}}
                               .dump();
  if (text.size() > max_packet_bytes)
    throw Error(Errc::internal, "hand-over to the shim is too large");
  step("hand over to the shim", [&] { send_with_descriptors(socket, text, descriptors); });
}

ShimHandoff receive_handoff(int socket, std::vector<UniqueFd>& descriptors) {
  std::array<char, max_packet_bytes> text{};
  const std::size_t n = step("receive the hand-over",
                             [&] { return receive_with_descriptors(socket, text, descriptors); });
  if (n == 0) throw Error(Errc::peer_lost, "husk went away before the hand-over");
  const auto json = nlohmann::json::parse(text.data(), text.data() + n);
  ShimHandoff handoff{.container_id = json.at("id").get<std::string>(),
                      .has_stdin = json.at("stdin").get<bool>(),
                      .has_stdout = json.at("stdout").get<bool>(),
                      .has_stderr = json.at("stderr").get<bool>(),
                      .message_patience = std::chrono::milliseconds{
                          json.at("message_patience_ms").get<std::int64_t>()}};
  const std::size_t expected = 1U + (handoff.has_stdin ? 1U : 0U) + (handoff.has_stdout ? 1U : 0U) +
                               (handoff.has_stderr ? 1U : 0U);
  if (descriptors.size() != expected)
    throw Error(Errc::invalid_argument, "wrong number of descriptors");
  return handoff;
}

}  // namespace husk::guestcomm
