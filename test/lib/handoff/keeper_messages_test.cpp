// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/keeper_messages.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"

using namespace husk;
using namespace husk::handoff;

namespace {

UniqueFd null_device() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

/// Whether both are one open file's device and inode.
bool is_same(const UniqueFd& one, const UniqueFd& other) {
  struct stat a {
  }, b{};
  return ::fstat(one.get(), &a) == 0 && ::fstat(other.get(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

void send_text(int socket, std::string_view text, const std::vector<int>& descriptors = {}) {
  send_with_descriptors(socket, text, descriptors);
}

}  // namespace

TEST_CASE("keeper messages: begin comes as it was sent", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  KeeperBegin sent{.vm_id = "00001234",
                   .leave_cgroups = GENERATE(true, false),
                   .record = "/run/husk-vm/00001234/vm.json",
                   .told_network = "/run/husk-vm/00001234/network/told.json",
                   .pod_network = "/run/netns/p",
                   .own_pod_network = "/run/husk-vm/00001234/netns"};
  if (GENERATE(true, false)) sent.device = {.directory = "/run/husk-vm/00001234/vsock", .uid = 77};
  if (GENERATE(true, false)) sent.husk = null_device();
  const Pipe files = make_pipe();
  if (GENERATE(true, false)) {
    sent.files = {.program = "/v", .arguments = {"a b", ""}, .max_open_files = 1ULL << 40};
    sent.files_socket.reset(::dup(files.read_end.get()));
    sent.files_log.reset(::dup(files.write_end.get()));
  }
  const Pipe console = make_pipe();
  if (GENERATE(true, false)) {
    sent.console_fifo.reset(::dup(console.read_end.get()));
    sent.console_log.reset(::dup(console.write_end.get()));
  }
  send_begin(ends.own.get(), sent);
  const KeeperBegin received = receive_begin(ends.other.get());
  CHECK(static_cast<bool>(received.console_fifo) == static_cast<bool>(sent.console_fifo));
  if (sent.console_fifo) {
    CHECK(is_same(received.console_fifo, console.read_end));
    CHECK(is_same(received.console_log, console.write_end));
  }
  CHECK(received.vm_id == sent.vm_id);
  CHECK(received.leave_cgroups == sent.leave_cgroups);
  CHECK(received.record == sent.record);
  CHECK(received.told_network == sent.told_network);
  CHECK(received.pod_network == sent.pod_network);
  CHECK(received.own_pod_network == sent.own_pod_network);
  CHECK(received.device.has_value() == sent.device.has_value());
  if (sent.device) {
    CHECK(received.device.value().directory == sent.device->directory);
    CHECK(received.device.value().uid == 77);
  }
  CHECK(static_cast<bool>(received.husk) == static_cast<bool>(sent.husk));
  CHECK(received.files.has_value() == sent.files.has_value());
  if (sent.files) {
    CHECK(received.files.value().program == "/v");
    CHECK(received.files.value().arguments == sent.files->arguments);
    CHECK(received.files.value().max_open_files == 1ULL << 40);
    CHECK(is_same(received.files_socket, files.read_end));
    CHECK(is_same(received.files_log, files.write_end));
  }
}

TEST_CASE("keeper messages: a greeting comes with the file server, if there is one", "[handoff]") {
  SocketPair ends = make_socket_pair();
  const Pipe pipe = make_pipe();
  send_greeting(ends.own.get(), pipe.read_end.get());
  send_greeting(ends.own.get(), -1);
  ends.own.reset();
  CHECK(is_same(receive_greeting(ends.other.get()).value().files, pipe.read_end));
  CHECK_FALSE(receive_greeting(ends.other.get()).value().files);
  CHECK_FALSE(receive_greeting(ends.other.get()).has_value());
}

TEST_CASE("keeper messages: keep brings each descriptor to its place", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  const Pipe pipe = make_pipe(), other = make_pipe();
  KeptProcesses sent;
  sent.vm = null_device();
  sent.helpers.emplace_back(::dup(pipe.read_end.get()));
  sent.shims.emplace_back(::dup(other.read_end.get()));
  sent.shims.emplace_back(::dup(pipe.read_end.get()));
  const bool has_listener = GENERATE(true, false);
  if (has_listener) sent.listener.reset(::dup(other.write_end.get()));
  sent.held = null_device();
  send_keep(ends.own.get(), sent);
  KeeperOrder order = receive_order(ends.other.get());
  const auto& received = std::get<KeptProcesses>(order);
  CHECK(is_same(received.vm, sent.vm));
  REQUIRE(received.helpers.size() == 1);
  CHECK(is_same(received.helpers[0], pipe.read_end));
  REQUIRE(received.shims.size() == 2);
  CHECK(is_same(received.shims[0], other.read_end));
  CHECK(is_same(received.shims[1], pipe.read_end));
  CHECK_FALSE(received.changes);
  CHECK(static_cast<bool>(received.listener) == has_listener);
  CHECK(is_same(received.held, sent.held));
}

TEST_CASE("keeper messages: a husk that gives up differs from one that was killed", "[handoff]") {
  SocketPair ends = make_socket_pair();
  SECTION("it says so") {
    send_end(ends.own.get());
    CHECK(std::holds_alternative<NoVm>(receive_order(ends.other.get())));
  }
  SECTION("it is gone") {
    ends.own.reset();
    CHECK(std::holds_alternative<AbandonedVm>(receive_order(ends.other.get())));
  }
  SECTION("it is gone, and left the greeting unread") {
    REQUIRE(::send(ends.other.get(), "", 1, 0) == 1);
    ends.own.reset();
    CHECK(std::holds_alternative<AbandonedVm>(receive_order(ends.other.get())));
  }
  SECTION("it said so, is gone, and left the greeting unread") {
    REQUIRE(::send(ends.other.get(), "", 1, 0) == 1);
    send_end(ends.own.get());
    ends.own.reset();
    CHECK(std::holds_alternative<NoVm>(receive_order(ends.other.get())));
  }
  SECTION("it is gone before it said which VM") {
    ends.own.reset();
    CHECK_THROWS_AS(receive_begin(ends.other.get()), Error);
  }
}

TEST_CASE("keeper messages: what is no message is refused", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  const UniqueFd device = null_device();
  const int one = device.get();
  const auto [text, descriptors] = GENERATE_COPY(
      table<std::string_view, std::vector<int>>({{"x", {}},
                                                 {"[]", {}},
                                                 {"{}", {}},
                                                 {R"({"keep": 7})", {}},
                                                 {R"({"keep": {"helpers": 0}})", {one}}}));
  CAPTURE(text);
  send_text(ends.own.get(), text, descriptors);
  CHECK_THROWS_AS(receive_order(ends.other.get()), Error);
  // Fewer and more descriptors than it names.
  const char* keep =
      R"({"keep": {"helpers": 1, "shims": 0, "changes": false, "listener": false, "held": false}})";
  for (const std::size_t count : {1U, 3U}) {
    send_text(ends.own.get(), keep, std::vector<int>(count, one));
    CHECK_THROWS_AS(receive_order(ends.other.get()), Error);
  }
}

namespace {

std::string refused_begin(const std::string& begin, const std::vector<int>& descriptors) {
  const SocketPair ends = make_socket_pair();
  send_text(ends.own.get(), R"({"begin":)" + begin + "}", descriptors);
  try {
    receive_begin(ends.other.get());
  } catch (const Error& error) {
    CHECK(error.code() == Errc::invalid_argument);
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("keeper messages: a begin with a wrong field is refused, not turned into another",
          "[handoff]") {
  const nlohmann::json fine = nlohmann::json::parse(
      R"({"vmId":"1","leaveCgroups":true,"record":"","toldNetwork":"","podNetwork":"","ownPodNetwork":"","husk":false,)"
      R"("device":{"directory":"/d","uid":7}})");
  REQUIRE(refused_begin(fine.dump(), {}) == "nothing was thrown");
  const auto [field, value] = GENERATE(
      table<const char*, nlohmann::json>({{"/vmId", 7},
                                          {"/leaveCgroups", 1},
                                          {"/record", nullptr},
                                          {"/toldNetwork", 7},
                                          {"/podNetwork", 7},
                                          {"/ownPodNetwork", 7},
                                          {"/husk", "true"},
                                          {"/device", 7},
                                          {"/device", nlohmann::json::object()},
                                          {"/device/directory", false},
                                          {"/device/uid", -1},  // chown(2): leave the owner
                                          {"/device/uid", 1.5},
                                          {"/device/uid", true},
                                          {"/device/uid", 4294967296},  // 0, root's, when it is cut
                                          {"/device/uid", "7"}}));
  nlohmann::json wrong = fine;
  wrong[nlohmann::json::json_pointer(field)] = value;
  CAPTURE(wrong.dump());
  CHECK(refused_begin(wrong.dump(), {}).starts_with("hand-over to the keeper: "));
}

TEST_CASE("keeper messages: a begin has husk's program if it says so, and nothing else",
          "[handoff]") {
  const UniqueFd device = null_device();
  const std::string start =
      R"({"vmId":"1","leaveCgroups":true,"record":"","toldNetwork":"","podNetwork":"","ownPodNetwork":"","husk":)";
  const std::string wrong_number = "hand-over to the keeper: wrong number of descriptors";
  CHECK(refused_begin(start + "true}", {}) == wrong_number);
  CHECK(refused_begin(start + "true}", {device.get(), device.get()}) == wrong_number);
  CHECK(refused_begin(start + "false}", {device.get()}) == wrong_number);
}

TEST_CASE("keeper messages: a number of processes that is none is refused", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  const UniqueFd device = null_device();
  const char* const field = GENERATE("helpers", "shims");
  const nlohmann::json value =
      GENERATE(nlohmann::json(-1), nlohmann::json(true), nlohmann::json(1.5), nlohmann::json(1e111),
               nlohmann::json("1"), nlohmann::json(UINT64_MAX));
  nlohmann::json keep{
      {"helpers", 0}, {"shims", 0}, {"changes", false}, {"listener", false}, {"held", false}};
  keep[field] = value;
  CAPTURE(keep.dump());
  send_text(ends.own.get(), nlohmann::json{{"keep", keep}}.dump(), {device.get(), device.get()});
  CHECK_THROWS_AS(receive_order(ends.other.get()), Error);
}

TEST_CASE("keeper messages: what would not fit into a packet is not sent", "[handoff]") {
  const SocketPair ends = make_socket_pair();
  CHECK_THROWS_WITH(send_begin(ends.own.get(), {.vm_id = "1", .record = std::string(8192, 'x')}),
                    "hand-over to the keeper is too large");
  KeptProcesses many{.vm = null_device()};
  for (std::size_t n = 0; n < max_passed_descriptors; ++n) many.shims.push_back(null_device());
  CHECK_THROWS_WITH(send_keep(ends.own.get(), many),
                    "hand the VM over to its keeper: too many descriptors in one message");
  char byte = 0;
  CHECK(::recv(ends.other.get(), &byte, 1, MSG_DONTWAIT) == -1);
  // One fewer fits.
  many.shims.pop_back();
  send_keep(ends.own.get(), many);
  const KeeperOrder order = receive_order(ends.other.get());
  CHECK(std::get<KeptProcesses>(order).shims.size() == max_passed_descriptors - 1);
}
