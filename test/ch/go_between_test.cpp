// SPDX-License-Identifier: Apache-2.0
// husk-ch between a played libvirt and the stand-in for Cloud Hypervisor, or other programs in its place.
#include "ch/go_between.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "ch/http.hpp"
#include "lib/base/process.hpp"
#include "lib/base/subprocess.hpp"
#include "test/ch/played_libvirt.hpp"

using namespace husk;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string plain_body =
    R"({"cpus": {"boot_vcpus": 1, "max_vcpus": 1}, "memory": {"size": 268435456},)"
    R"( "payload": {"kernel": "/k/vmlinuz", "cmdline": "console=ttyS0"}})";

/// All that comes until the other side closes.
std::string rest_of(int socket) { return receive_before(socket, 1u << 20, Deadline(15s)); }

std::string create_vm(int socket, const std::string& with = plain_body) {
  send_before(socket, http_request("PUT /api/v1/vm.create", with), Deadline(5s));
  return rest_of(socket);
}

/// What husk-ch tells husk.
std::string failure_in(const PlayedLibvirt& libvirt) {
  return read_file(libvirt.folder / ch::failure_file, 4096);
}

json info_of(const PlayedLibvirt& libvirt) {
  const UniqueFd socket = libvirt.connect();
  send_before(socket.get(), http_request("GET /api/v1/vm.info"), Deadline(5s));
  return json::parse(ch::receive_answer(socket.get(), -1, Deadline(10s)).body);
}

/// Reads until `socket` has an answer. Throws if the FIFO has no writer in the meantime.
void await_answer(int socket, int fifo) {
  const Deadline deadline(15s);
  std::array<pollfd, 2> polled{{{socket, POLLIN, 0}, {fifo, 0, 0}}};
  while (!deadline.passed()) {
    ::poll(polled.data(), polled.size(), 100);
    if ((polled[1].revents & POLLHUP) != 0) throw std::runtime_error("the FIFO has no writer");
    if (polled[0].revents != 0) return;
  }
  throw std::runtime_error("no answer");
}

bool has_writer(int fifo) {
  pollfd polled{fifo, 0, 0};
  ::poll(&polled, 1, 0);
  return (polled.revents & POLLHUP) == 0;
}

}  // namespace

TEST_CASE("husk-ch: cloud-hypervisor is the process that libvirt started, with husk's additions") {
  const Reaper reaper;
  PlayedLibvirt libvirt(HUSK_CH_STAND_IN);
  const std::string fifo_path = libvirt.folder / "events";
  check_sys(::mkfifo(fifo_path.c_str(), 0600), "mkfifo");
  libvirt.start({"--event-monitor", "path=" + fifo_path});
  libvirt.listener.reset();
  const UniqueFd fifo{check_sys(::open(fifo_path.c_str(), O_RDONLY | O_CLOEXEC), "open")};
  const UniqueFd first = libvirt.connect();
  send_before(first.get(), http_request("PUT /api/v1/vm.create", plain_body), Deadline(5s));
  await_answer(first.get(), fifo.get());
  CHECK(rest_of(first.get()) == "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");

  // Only the stand-in remains, which has no children.
  CHECK(libvirt.reap_orphans() == std::vector<int>{0});
  CHECK(PlayedLibvirt::children(std::to_string(libvirt.pid)).empty());
  CHECK(has_writer(fifo.get()));
  const ProcessIdentity process = identify_process(libvirt.pid).value();
  CHECK(read_file(libvirt.folder / ch::process_file, 64) ==
        std::to_string(process.pid) + " " + std::to_string(process.start_time) + "\n");
  CHECK_FALSE(std::filesystem::exists(libvirt.folder / ch::failure_file));

  const json info = info_of(libvirt);
  CHECK(info["state"] == "Created");
  const json& config = info["config"];
  CHECK(config["memory"]["shared"] == true);
  CHECK(config["fs"][0]["tag"] == "husk");
  CHECK(config["vsock"]["cid"] == 3);
  CHECK(config["serial"]["file"] == (libvirt.folder / "console").string());
  CHECK(config["console"]["mode"] == "Off");
  CHECK(config["payload"]["kernel"] == "/k/vmlinuz");

  const UniqueFd last = libvirt.connect();
  send_before(last.get(), http_request("GET /api/v1/vmm.ping"), Deadline(5s));
  const json ping = json::parse(ch::receive_answer(last.get(), -1, Deadline(10s)).body);
  CHECK(ping["pid"] == libvirt.pid);
  send_before(last.get(), http_request("PUT /api/v1/vmm.shutdown"), Deadline(5s));
  CHECK(libvirt.exit_status() == 0);
  const std::string events = read_all(fifo.get(), 65536, "events");
  CHECK_THAT(events, ContainsSubstring("\"starting\"") && ContainsSubstring("\"shutdown\""));
}

TEST_CASE("husk-ch: an error of cloud-hypervisor's is libvirt's answer") {
  const Reaper reaper;
  PlayedLibvirt libvirt(HUSK_CH_STAND_IN);
  libvirt.start();
  const std::string answer = create_vm(libvirt.connect().get(),
                                       R"({"memory": {"size": "x"}, "payload": {"kernel": "/k"}})");
  CHECK_THAT(answer, ContainsSubstring("HTTP/1.1 400 ") && ContainsSubstring("Connection: close") &&
                         ContainsSubstring("[\"Failed to deserialize JSON\","));
  CHECK_THAT(failure_in(libvirt), ContainsSubstring("cloud-hypervisor: [\"Failed to deserialize"));
  CHECK(libvirt.reap_orphans().size() == 1);
}

TEST_CASE("husk-ch: the program gets libvirt's arguments and socket, and nothing else") {
  const Reaper reaper;
  PlayedLibvirt libvirt("/bin/false");
  const std::string folder = libvirt.folder;
  libvirt.write_additions(libvirt.make_script("printf '%s\\n' \"$0\" \"$@\" >" + folder +
                                              "/arguments\nexec ls /proc/self/fd >" + folder +
                                              "/fds"));
  libvirt.start({"-v", "--new-option", "a b"});
  create_vm(libvirt.connect().get());
  CHECK(libvirt.exit_status() == 0);
  CHECK(read_file(folder + "/arguments", 4096) ==
        folder + "/program\n--api-socket\nfd=23\n-v\n--new-option\na b\n");
  // 3 is the directory.
  CHECK(read_file(folder + "/fds", 4096) == "0\n1\n2\n23\n3\n");
  libvirt.reap_orphans();
}

TEST_CASE("husk-ch: a program that is missing is named to libvirt") {
  const Reaper reaper;
  PlayedLibvirt libvirt("/nowhere/cloud-hypervisor");
  libvirt.start();
  CHECK_THAT(
      create_vm(libvirt.connect().get()),
      ContainsSubstring("HTTP/1.1 500 ") &&
          ContainsSubstring("[\"execute /nowhere/cloud-hypervisor: no such file or directory\"]"));
  CHECK(failure_in(libvirt) == "execute /nowhere/cloud-hypervisor: no such file or directory\n");
  CHECK(libvirt.exit_status() == 1);
  CHECK(libvirt.reap_orphans() == std::vector<int>{0});
}

TEST_CASE("husk-ch: a program that ends at once is named to libvirt") {
  const Reaper reaper;
  PlayedLibvirt libvirt("/bin/true");
  libvirt.start();
  SECTION("nobody else has the API's socket") { libvirt.listener.reset(); }
  SECTION("somebody else keeps it listening") {}
  CHECK_THAT(create_vm(libvirt.connect().get()),
             ContainsSubstring("HTTP/1.1 500 ") && ContainsSubstring("/bin/true"));
  CHECK(libvirt.exit_status() == 0);
  CHECK(libvirt.reap_orphans() == std::vector<int>{0});
}

TEST_CASE("husk-ch: a program that does not answer ends libvirt's wait, and the relay") {
  const Reaper reaper;
  PlayedLibvirt libvirt("/bin/false");
  libvirt.write_additions(libvirt.make_script("exec sleep 60"));
  libvirt.start_with([&] { ch::run(libvirt.arguments(), 1s); });
  CHECK_THAT(create_vm(libvirt.connect().get()),
             ContainsSubstring("HTTP/1.1 500 ") && ContainsSubstring("not complete in time"));
  CHECK_THAT(failure_in(libvirt), ContainsSubstring("not complete in time"));
  CHECK(libvirt.reap_orphans() == std::vector<int>{0});
  CHECK(::kill(libvirt.pid, 0) == 0);  // libvirt's to end
}

TEST_CASE("husk-ch: who connects and sends nothing is answered, and nothing stays") {
  const Reaper reaper;
  PlayedLibvirt libvirt("/bin/false");
  const auto begun = std::chrono::steady_clock::now();
  libvirt.start_with([&] { ::_exit(ch::run(libvirt.arguments(), 200ms)); });
  CHECK_THAT(rest_of(libvirt.connect().get()),
             ContainsSubstring("HTTP/1.1 408 ") && ContainsSubstring("request: not complete"));
  CHECK(libvirt.exit_status() == 1);
  CHECK(std::chrono::steady_clock::now() - begun < 4s);
  CHECK(libvirt.reap_orphans().empty());
}

TEST_CASE("husk-ch: without a connection, or a reader of the events, it ends with the deadline") {
  PlayedLibvirt libvirt("/bin/false");
  std::vector<std::string> arguments = libvirt.arguments();
  SECTION("nobody connects") {}
  SECTION("nobody reads") {
    const std::string fifo = libvirt.folder / "events";
    check_sys(::mkfifo(fifo.c_str(), 0600), "mkfifo");
    arguments.insert(arguments.end(), {"--event-monitor", "path=" + fifo});
  }
  libvirt.start_with([&] { ::_exit(ch::run(arguments, 100ms)); });
  CHECK(libvirt.exit_status() == 1);
}

TEST_CASE("husk-ch: libvirt gets to know what is wrong with the request or the additions") {
  const Reaper reaper;
  PlayedLibvirt libvirt("relative");
  libvirt.start();
  std::string with = plain_body;
  std::string expected = "HTTP/1.1 500 ";
  std::string text = "program: not an absolute path";
  SECTION("additions") {}
  SECTION("body") {
    libvirt.write_additions("/bin/false");
    with = "{}";
    expected = "HTTP/1.1 400 ";
    text = "[\"vm.create: memory: missing\"]";
  }
  SECTION("no additions") {
    std::filesystem::remove(libvirt.folder / ch::additions_file);
    text = "ch-additions.json: no such file";
  }
  CHECK_THAT(create_vm(libvirt.connect().get(), with),
             ContainsSubstring(expected) && ContainsSubstring(text));
  CHECK(libvirt.exit_status() == 1);
  CHECK(libvirt.reap_orphans().empty());
}

TEST_CASE("husk-ch: the question for the version is cloud-hypervisor's to answer") {
  const PlayedLibvirt libvirt(HUSK_CH_STAND_IN);
  const auto answer = run_subprocess({.program = libvirt.emulator(),
                                      .arguments = {"--version"},
                                      .argv0 = {},
                                      .environment = {},
                                      .stdin_text = {},
                                      .timeout = 10s});
  CHECK(answer.status == 0);
  CHECK(answer.output == "cloud-hypervisor v53.0.0\n");
}
