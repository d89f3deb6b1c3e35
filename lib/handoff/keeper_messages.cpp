// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/keeper_messages.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/json_integer.hpp"

namespace husk::handoff {
namespace {

using nlohmann::json;

constexpr std::size_t max_keeper_packet_bytes = 8192;

struct KeeperPacket {
  json content;  ///< null at end of file
  std::vector<UniqueFd> descriptors;
};

/// A husk that went without having read the greeting leaves an error before its last packet, or before
/// the end of file.
std::size_t receive_after_reset(int socket, std::span<char> text,
                                std::vector<UniqueFd>& descriptors) {
  try {
    return receive_with_descriptors(socket, text, descriptors);
  } catch (const Error& e) {
    if (e.sys_errno() != ECONNRESET) throw;
    return receive_with_descriptors(socket, text, descriptors);
  }
}

KeeperPacket receive_packet(int socket) {
  std::array<char, max_keeper_packet_bytes> text{};
  KeeperPacket packet;
  const std::size_t count = receive_after_reset(socket, text, packet.descriptors);
  if (count == 0) return packet;
  packet.content = json::parse(text.data(), text.data() + count, nullptr, false);
  if (!packet.content.is_object())
    throw Error(Errc::invalid_argument, "hand-over to the keeper: not a JSON object");
  return packet;
}

/// The descriptors of a packet in the order in which they were sent.
class Taker {
 public:
  explicit Taker(std::vector<UniqueFd> all) : all_(std::move(all)) {}
  UniqueFd take() {
    if (next_ == all_.size()) throw wrong_number();
    return std::move(all_[next_++]);
  }
  UniqueFd take_if(bool is_there) { return is_there ? take() : UniqueFd(); }
  std::vector<UniqueFd> take_many(std::size_t count) {
    std::vector<UniqueFd> many;
    for (std::size_t n = 0; n < count; ++n) many.push_back(take());
    return many;
  }
  void check_end() const {
    if (next_ != all_.size()) throw wrong_number();
  }

 private:
  static Error wrong_number() {
    return {Errc::invalid_argument, "hand-over to the keeper: wrong number of descriptors"};
  }
  std::vector<UniqueFd> all_;
  std::size_t next_ = 0;
};

void send_packet(int socket, const json& content, const std::vector<int>& descriptors) {
  const std::string text = content.dump();
  if (text.size() > max_keeper_packet_bytes)
    throw Error(Errc::internal, "hand-over to the keeper is too large");
  step("hand the VM over to its keeper", [&] { send_with_descriptors(socket, text, descriptors); });
}

std::optional<FileServerSetup> read_files(const json& begin) {
  if (!begin.contains("files")) return std::nullopt;
  const json& files = begin["files"];
  return FileServerSetup{.program = files.at("program").get<std::string>(),
                         .arguments = files.at("arguments").get<std::vector<std::string>>(),
                         .max_open_files = get_integer<std::uint64_t>(files.at("maxOpenFiles"))};
}

KeeperBegin read_begin(const json& begin, Taker descriptors) {
  KeeperBegin read{.vm_id = begin.at("vmId").get<std::string>(),
                   .device = std::nullopt,
                   .leave_cgroups = begin.at("leaveCgroups").get<bool>(),
                   .record = begin.at("record").get<std::string>(),
                   .told_network = begin.at("toldNetwork").get<std::string>(),
                   .pod_network = begin.at("podNetwork").get<std::string>(),
                   .own_pod_network = begin.at("ownPodNetwork").get<std::string>(),
                   .files = read_files(begin),
                   .files_socket = descriptors.take_if(begin.contains("files")),
                   .files_log = descriptors.take_if(begin.contains("files")),
                   .console_fifo = descriptors.take_if(begin.value("console", false)),
                   .console_log = descriptors.take_if(begin.value("console", false)),
                   .config = begin.value("config", ""),
                   .fills_pool = begin.value("fillsPool", false),
                   .husk = descriptors.take_if(begin.at("husk").get<bool>())};
  if (begin.contains("device")) {
    const json& device = begin["device"];
    read.device = {.directory = device.at("directory").get<std::string>(),
                   .uid = get_integer<unsigned>(device.at("uid"))};
  }
  descriptors.check_end();
  return read;
}

KeptProcesses read_keep(const json& keep, Taker descriptors) {
  KeptProcesses processes;
  processes.vm = descriptors.take();
  processes.helpers = descriptors.take_many(get_integer<std::size_t>(keep.at("helpers")));
  processes.shims = descriptors.take_many(get_integer<std::size_t>(keep.at("shims")));
  processes.changes = descriptors.take_if(keep.at("changes").get<bool>());
  processes.kills = descriptors.take_if(keep.at("kills").get<bool>());
  processes.listener = descriptors.take_if(keep.at("listener").get<bool>());
  processes.held = descriptors.take_if(keep.at("held").get<bool>());
  processes.claims = descriptors.take_if(keep.at("claims").get<bool>());
  descriptors.check_end();
  return processes;
}

/// What the parser throws, as an error of husk's.
template <class Read>
auto reading(Read&& read) try {
  return read();
} catch (const json::exception& e) {
  throw Error(Errc::invalid_argument, std::string("hand-over to the keeper: ") + e.what());
}

}  // namespace

void send_greeting(int socket, int files) {
  std::vector<int> descriptors;
  if (files >= 0) descriptors.push_back(files);
  send_with_descriptors(socket, std::string_view("\0", 1), descriptors);
}

void send_begin(int socket, const KeeperBegin& begin) {
  json content{{"vmId", begin.vm_id},
               {"leaveCgroups", begin.leave_cgroups},
               {"record", begin.record},
               {"toldNetwork", begin.told_network},
               {"podNetwork", begin.pod_network},
               {"ownPodNetwork", begin.own_pod_network},
               {"config", begin.config},
               {"fillsPool", begin.fills_pool},
               {"console", static_cast<bool>(begin.console_fifo)},
               {"husk", static_cast<bool>(begin.husk)}};
  if (begin.device)
    content["device"] = {{"directory", begin.device->directory}, {"uid", begin.device->uid}};
  std::vector<int> descriptors;
  if (begin.files) {
    content["files"] = {{"program", begin.files->program},
                        {"arguments", begin.files->arguments},
                        {"maxOpenFiles", begin.files->max_open_files}};
    descriptors = {begin.files_socket.get(), begin.files_log.get()};
  }
  for (const UniqueFd* given : {&begin.console_fifo, &begin.console_log, &begin.husk})
    if (*given) descriptors.push_back(given->get());
  send_packet(socket, {{"begin", content}}, descriptors);
}

void send_keep(int socket, const KeptProcesses& processes) {
  std::vector<int> all{processes.vm.get()};
  for (const UniqueFd& helper : processes.helpers) all.push_back(helper.get());
  for (const UniqueFd& shim : processes.shims) all.push_back(shim.get());
  for (const UniqueFd* given : {&processes.changes, &processes.kills, &processes.listener,
                                &processes.held, &processes.claims})
    if (*given) all.push_back(given->get());
  send_packet(socket,
              {{"keep",
                {{"helpers", processes.helpers.size()},
                 {"shims", processes.shims.size()},
                 {"changes", static_cast<bool>(processes.changes)},
                 {"kills", static_cast<bool>(processes.kills)},
                 {"listener", static_cast<bool>(processes.listener)},
                 {"held", static_cast<bool>(processes.held)},
                 {"claims", static_cast<bool>(processes.claims)}}}},
              all);
}

void send_end(int socket) noexcept {
  constexpr std::string_view end = R"({"end":true})";
  ::send(socket, end.data(), end.size(), MSG_NOSIGNAL);
}

KeeperBegin receive_begin(int socket) {
  return reading([&] {
    KeeperPacket packet = receive_packet(socket);
    if (packet.content.is_null())
      throw Error(Errc::peer_lost, "husk exited before it told its keeper which VM to keep");
    return read_begin(packet.content.at("begin"), Taker(std::move(packet.descriptors)));
  });
}

std::optional<KeeperGreeting> receive_greeting(int socket) {
  std::array<char, 1> byte{};
  std::vector<UniqueFd> descriptors;
  if (receive_with_descriptors(socket, byte, descriptors) == 0) return std::nullopt;
  KeeperGreeting greeting;
  if (!descriptors.empty()) greeting.files = std::move(descriptors.front());
  return greeting;
}

KeeperOrder receive_order(int socket) {
  return reading([&]() -> KeeperOrder {
    KeeperPacket packet = receive_packet(socket);
    if (packet.content.is_null()) return AbandonedVm{};
    if (packet.content.contains("end")) return NoVm{};
    return read_keep(packet.content.at("keep"), Taker(std::move(packet.descriptors)));
  });
}

}  // namespace husk::handoff
