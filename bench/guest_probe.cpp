// SPDX-License-Identifier: Apache-2.0
// What bench/exec compares husk with: the protocol's round trip and a bare vsock connection, to the
// guest of a VM that runs. usage: guest_probe VM.JSON round-trip COUNT | pour PORT BYTES | drain PORT BYTES
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/container_messages.hpp"

namespace {

using namespace husk;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

guestcomm::GuestAccess access_of(const std::string& record) {
  const auto json = nlohmann::json::parse(read_file(record, 1u << 20));
  return {json.at("address").get<guestcomm::GuestAddress>(), json.at("secret")};
}

/// Median of a request that the agent answers at once.
double round_trip(const guestcomm::GuestAccess& guest, int count) {
  guestcomm::AgentClient client(guest, 20s);
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    try {
      client.call(guestcomm::DeleteContainer{"nobody"}, 20s);
    } catch (const Error& error) {
      if (error.code() != Errc::not_found) throw;
    }
    times.push_back(Milliseconds(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + count / 2, times.end());
  return times[static_cast<std::size_t>(count / 2)];
}

/// So many bytes to a guest that answers when it has them.
double pour(int socket, std::size_t bytes) {
  const auto start = Clock::now();
  write_all(socket, std::string(bytes, 'x'));
  char answer = 0;
  if (::read(socket, &answer, 1) != 1) throw Error(Errc::peer_lost, "the guest took not all");
  return Milliseconds(Clock::now() - start).count();
}

double drain(int socket, std::size_t bytes) {
  static std::array<char, 64u << 10> buffer;
  const auto start = Clock::now();
  for (std::size_t got = 0; got < bytes;) {
    const ssize_t n = ::read(socket, buffer.data(), buffer.size());
    if (n <= 0) throw Error(Errc::peer_lost, "the guest gave not all");
    got += static_cast<std::size_t>(n);
  }
  return Milliseconds(Clock::now() - start).count();
}

double carry(const guestcomm::GuestAccess& guest, const std::vector<std::string>& arguments) {
  const auto port = static_cast<std::uint32_t>(std::stoul(arguments[2]));
  const UniqueFd socket = guestcomm::connect_guest(guest.address, port, 20s);
  const std::size_t bytes = std::stoul(arguments[3]);
  return arguments[1] == "pour" ? pour(socket.get(), bytes) : drain(socket.get(), bytes);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 3 && arguments[1] == "round-trip") {
      std::cout << round_trip(access_of(arguments[0]), std::stoi(arguments[2])) << "\n";
    } else if (arguments.size() == 4 && (arguments[1] == "pour" || arguments[1] == "drain")) {
      std::cout << carry(access_of(arguments[0]), arguments) << "\n";
    } else {
      std::cerr
          << "usage: guest_probe VM.JSON round-trip COUNT | pour PORT BYTES | drain PORT BYTES\n";
      return 2;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "guest_probe: " << error.what() << "\n";
    return 1;
  }
}
