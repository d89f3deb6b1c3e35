// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/handoff.hpp"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/json_integer.hpp"

namespace husk::handoff {
namespace {

constexpr std::size_t max_packet_bytes = 4096;

using nlohmann::json;

/// Each stream as its descriptor's place in the packet.
guestcomm::Stdio<std::size_t> number(guestcomm::Stdio<int> stdio, std::vector<int>& descriptors) {
  return guestcomm::with_each_end(stdio, [&](int fd) {
    descriptors.push_back(fd);
    return descriptors.size() - 1;
  });
}

Handoff read_packet(const json& packet, std::vector<UniqueFd>& descriptors) {
  std::size_t taken = 0;
  const auto take = [&](std::size_t place) {
    if (place != taken || place >= descriptors.size())
      throw Error(Errc::invalid_argument, "descriptors in the wrong order");
    ++taken;
    return std::move(descriptors[place]);
  };
  if (descriptors.empty()) throw Error(Errc::invalid_argument, "no descriptors");
  Handoff handoff{
      {packet.at("process").get<guestcomm::ProcessRef>(),
       std::chrono::milliseconds{get_integer<std::int64_t>(packet.at("message_patience_ms"))}},
      take(0),
      {},
      {}};
  auto stdio = guestcomm::read_stdio<std::size_t>(packet.at("stdio"));
  handoff.stdio = guestcomm::with_each_end(stdio, take);
  if (packet.contains("notify")) handoff.notify = take(get_integer<std::size_t>(packet["notify"]));
  if (packet.contains("bundle")) handoff.bundle = take(get_integer<std::size_t>(packet["bundle"]));
  if (packet.contains("kills")) handoff.kills = take(get_integer<std::size_t>(packet["kills"]));
  if (taken != descriptors.size())
    throw Error(Errc::invalid_argument, "wrong number of descriptors");
  return handoff;
}

}  // namespace

void send(int socket, const Duty& duty, int control, const guestcomm::Stdio<int>& stdio, int notify,
          int bundle, int kills) {
  std::vector<int> descriptors{control};
  json packet{{"process", duty.process},
              {"stdio", guestcomm::write_stdio(number(stdio, descriptors))},
              {"message_patience_ms", duty.message_patience.count()}};
  if (notify >= 0) {
    packet["notify"] = descriptors.size();
    descriptors.push_back(notify);
  }
  if (bundle >= 0) {
    packet["bundle"] = descriptors.size();
    descriptors.push_back(bundle);
  }
  if (kills >= 0) {
    packet["kills"] = descriptors.size();
    descriptors.push_back(kills);
  }
  const std::string text = packet.dump();
  if (text.size() > max_packet_bytes)
    throw Error(Errc::internal, "hand-over to the shim is too large");
  step("hand over to the shim", [&] { send_with_descriptors(socket, text, descriptors); });
}

Handoff receive(int socket) {
  std::array<char, max_packet_bytes> text{};
  std::vector<UniqueFd> descriptors;
  const std::size_t n = step("receive the hand-over",
                             [&] { return receive_with_descriptors(socket, text, descriptors); });
  if (n == 0) throw Error(Errc::peer_lost, "husk exited before the hand-over");
  try {
    return read_packet(json::parse(text.data(), text.data() + n), descriptors);
  } catch (const json::exception& e) {
    throw Error(Errc::invalid_argument, std::string("hand-over to the shim: ") + e.what());
  }
}

}  // namespace husk::handoff
