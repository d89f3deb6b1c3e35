// SPDX-License-Identifier: Apache-2.0
// What comes over the control connection, in pieces as an event loop gets it: the agent's server,
// which is the frame reader, hello and the envelope of requests; and the host's reader. The first
// byte is the size of the pieces.
#include <sys/socket.h>

#include "agent/request/control_server.hpp"
#include "agent/stream/pending_streams.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "test/fuzz/fuzz.hpp"

namespace {

using namespace husk;
using Frames = std::vector<std::string>;

const char* const secret = "00112233445566778899aabbccddeeff";  // seeds say it

struct SocketPair {
  UniqueFd ours, theirs;
};
SocketPair make_sockets() {
  int ends[2];
  check_sys(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), "sockets");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void send_all(int socket, std::string_view bytes) {
  // The longest input fits into the socket's buffer. EPIPE: the other side has had enough.
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

template <class Take>
void in_pieces(std::string_view bytes, std::size_t size, Take take) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
    take(bytes.substr(0, size));
}

Frames frames_of(std::string_view bytes, std::size_t piece, std::size_t max_bytes) {
  guestcomm::FrameReader reader(max_bytes);
  Frames frames;
  std::size_t consumed = 0;
  fuzz::only_errors([&] {
    in_pieces(bytes, piece, [&](std::string_view part) {
      reader.append(part);
      while (auto frame = reader.next()) {
        const std::string again = guestcomm::make_frame(*frame);
        fuzz::require(bytes.substr(consumed, again.size()) == again);
        consumed += again.size();
        frames.push_back(std::move(*frame));
      }
    });
  });
  return frames;
}

/// As AgentClient and the shim read.
Frames frames_of_socket(std::string_view bytes, std::size_t max_bytes) {
  SocketPair pair = make_sockets();
  send_all(pair.ours.get(), bytes);
  pair.ours.reset();
  Frames frames;
  fuzz::only_errors([&] {
    while (auto frame = guestcomm::read_frame(pair.theirs.get(), Deadline(std::chrono::seconds{5}),
                                              max_bytes))
      frames.push_back(std::move(*frame));
  });
  return frames;
}

/// Whatever it was asked, the agent's answers are ones.
void check_answers(guestcomm::FrameReader& answers, int socket) {
  std::array<char, 4096> chunk;
  for (ssize_t count = 1; count > 0;) {
    count = ::recv(socket, chunk.data(), chunk.size(), 0);
    if (count > 0) answers.append({chunk.data(), static_cast<std::size_t>(count)});
  }
  while (const auto answer = answers.next()) (void)guestcomm::decode_response(*answer);
}

void ask_agent(std::string_view bytes, std::size_t piece) {
  agent::EventLoop loop;
  agent::ControlServer server(
      loop, agent::Secret(secret),
      {[](agent::ConnectionId, const guestcomm::Request& request, const agent::Reply& reply) {
         if (request.method.empty()) throw Error(Errc::invalid_argument, "unknown method");
         reply(agent::done());
       },
       [](agent::ConnectionId) {}});
  SocketPair pair = make_sockets();
  server.adopt(std::move(pair.theirs), agent::Caller::root);
  guestcomm::FrameReader answers;
  in_pieces(bytes, piece, [&](std::string_view part) {
    send_all(pair.ours.get(), part);
    loop.run_once(std::chrono::milliseconds{0});
    check_answers(answers, pair.ours.get());
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool is_silent = (set_log_sink([](LogLevel, std::string_view) {}), true);
  if (size == 0 || !is_silent) return 0;
  // Never so small that an input is thousands of calls.
  const std::size_t piece = 1u + data[0] + size / 64;
  const std::string_view bytes = fuzz::text_of(data + 1, size - 1);
  const Frames whole = frames_of(bytes, bytes.size() + 1, guestcomm::max_guest_bytes);
  fuzz::require(frames_of(bytes, piece, guestcomm::max_guest_bytes) == whole);
  fuzz::require(frames_of_socket(bytes, guestcomm::max_guest_bytes) == whole);
  (void)frames_of(bytes, piece, guestcomm::max_hello_bytes);
  (void)agent::parse_stream_header(std::string(bytes));
  ask_agent(bytes, piece);
  return 0;
}
