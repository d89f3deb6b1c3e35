// SPDX-License-Identifier: Apache-2.0
// The agent in a real guest, through its protocol.
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "test/agent/vm_guest.hpp"

using Catch::Matchers::ContainsSubstring;
using husk::UniqueFd;
using namespace husk::guestcomm;
using namespace std::chrono_literals;

namespace {

/// One guest for all cases but those that end it: booting takes seconds. Kept up by its connection.
husk::test::VmGuest& guest() {
  static husk::test::VmGuest vm;
  return vm;
}

AgentClient& client() {
  static AgentClient connection(guest().access(), 20s);
  return connection;
}

husk::oci::Mount mount(const char* type, const char* destination,
                       std::vector<std::string> options) {
  husk::oci::Mount made;
  made.type = type;
  made.source = type;
  made.destination = destination;
  made.options = std::move(options);
  return made;
}

husk::oci::Spec make_spec(const std::string& id, std::vector<std::string> args) {
  husk::oci::Spec spec;
  spec.oci_version = "1.0.2";
  spec.root.emplace();
  spec.root->path = std::string(share_mount_point) + "/" + id + "/rootfs";
  spec.process.emplace();
  spec.process->args = std::move(args);
  spec.process->env = {"PATH=/bin"};
  spec.process->cwd = "/";
  for (const char* type : {"pid", "mount", "ipc", "uts", "cgroup"}) {
    spec.linux_.namespaces.push_back({type, std::nullopt});
  }
  spec.mounts = {mount("proc", "/proc", {}),
                 mount("tmpfs", "/dev", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
                 mount("devpts", "/dev/pts",
                       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
                 mount("sysfs", "/sys", {"nosuid", "noexec", "nodev", "ro"}),
                 mount("cgroup", "/sys/fs/cgroup", {"ro", "nosuid", "noexec", "nodev"}),
                 mount("mqueue", "/dev/mqueue", {"nosuid", "noexec", "nodev"})};
  return spec;
}

/// Everything a container writes and its status, as a shim would get it.
struct Ended {
  int status = -1;
  std::string out, err;
};

std::string read_to_end(int fd) { return husk::read_all(fd, 256u << 20, "stream"); }

class Running {
 public:
  Running(const std::string& id, husk::oci::Spec spec) : id_(id), control_(guest().access(), 20s) {
    StreamTokens tokens =
        Pipes<std::string>{husk::random_hex(16), husk::random_hex(16), husk::random_hex(16)};
    auto sockets = with_each_end(
        tokens, [](const std::string& token) { return open_stream(guest().access(), token, 20s); });
    auto& pipes = std::get<Pipes<UniqueFd>>(sockets);
    in_ = std::move(*pipes.in);
    out_ = std::move(*pipes.out);
    err_ = std::move(*pipes.err);
    const CreateContainer request{id, std::move(spec), std::move(tokens)};
    control_.create_container(request, 30s);
  }
  void own() {
    socket_ = control_.release();
    write_frame(socket_.get(), encode(Request{77, "own_process", ProcessRef{id_, {}}}));
    const auto answer = read_frame(socket_.get());
    REQUIRE(answer);
    REQUIRE(std::holds_alternative<nlohmann::json>(decode_response(*answer).outcome));
  }
  void start() { client().start_process({id_, {}}); }
  void send_stdin(const std::string& text) {
    husk::write_all(in_.get(), text);
    in_.reset();
  }
  std::string read_line() const {
    std::string line;
    for (char letter = 0; ::read(out_.get(), &letter, 1) == 1 && letter != '\n';) line += letter;
    return line;
  }
  Ended finish() {
    Ended outcome;
    std::thread err_reader([&] { outcome.err = read_to_end(err_.get()); });
    outcome.out = read_to_end(out_.get());
    err_reader.join();
    outcome.status = wait_exit();
    return outcome;
  }
  int wait_exit() {
    const auto frame = read_frame(socket_.get());
    REQUIRE(frame);
    const Request notification = decode_request(*frame);
    REQUIRE(notification.method == "process_exited");
    return notification.params.get<ProcessExited>().status;
  }
  int socket() const { return socket_.get(); }
  void drop_connection() { socket_.reset(); }

 private:
  std::string id_;
  AgentClient control_;
  UniqueFd in_, out_, err_, socket_;
};

std::string new_id() {
  const std::string id = "test-" + husk::random_hex(4);
  guest().make_rootfs(id);
  client();  // holds the guest up between cases
  return id;
}

Ended run(husk::oci::Spec (*adjust)(husk::oci::Spec), std::vector<std::string> args,
          const std::string& input = "") {
  const std::string id = new_id();
  Running container(id, adjust(make_spec(id, std::move(args))));
  container.own();
  container.start();
  container.send_stdin(input);
  Ended outcome = container.finish();
  client().delete_container(id);
  return outcome;
}

husk::oci::Spec as_is(husk::oci::Spec spec) { return spec; }

Ended shell(const std::string& script, husk::oci::Spec (*adjust)(husk::oci::Spec) = as_is) {
  return run(adjust, {"sh", "-c", script});
}

std::string create_error(husk::oci::Spec spec, const std::string& id) {
  try {
    client().create_container({id, std::move(spec), {}}, 30s);
  } catch (const husk::Error& error) {
    return error.what();
  }
  client().delete_container(id);
  return "no error";
}

}  // namespace

TEST_CASE("agent: a container's output, error output and exit code reach the host", "[vm]") {
  const Ended outcome = shell("echo out; echo err >&2; exit 3");
  CHECK(outcome.out == "out\n");
  CHECK(outcome.err == "err\n");
  CHECK(outcome.status == 3);
}

TEST_CASE("agent: 8 MiB go in and come out byte for byte", "[vm]") {
  std::string data;
  for (std::uint32_t n = 0; data.size() < (8u << 20); ++n) data += std::to_string(n * 2654435761u);
  const std::string id = new_id();
  Running container(id, make_spec(id, {"cat"}));
  container.own();
  container.start();
  std::thread writer([&] { container.send_stdin(data); });
  const Ended outcome = container.finish();
  writer.join();
  CHECK(outcome.status == 0);
  CHECK(outcome.out.size() == data.size());
  CHECK(outcome.out == data);
  client().delete_container(id);
}

TEST_CASE("agent: throughput of standard output", "[.bench]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"dd", "if=/dev/zero", "bs=64k", "count=1024"}));
  container.own();
  const auto begin = std::chrono::steady_clock::now();
  container.start();
  const Ended outcome = container.finish();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  CHECK(outcome.out.size() == 64u << 20);
  WARN("64 MiB in " << seconds.count() << " s: " << 64 / seconds.count() << " MiB/s");
  client().delete_container(id);
}

TEST_CASE("agent: output written just before the end is not lost", "[vm]") {
  for (int round = 0; round < 5; ++round) {
    const Ended outcome = shell("dd if=/dev/zero bs=1000 count=300 2>/dev/null; exit 9");
    CHECK(outcome.out.size() == 300000);
    CHECK(outcome.status == 9);
  }
}

TEST_CASE("agent: the container has namespaces, mounts and devices of its own", "[vm]") {
  const Ended outcome = shell(
      "echo $$; ls /proc | grep -c '^[0-9]'; hostname; cat /proc/self/cgroup; ls /dev; "
      "cat /proc/mounts; echo x > /dev/null; stat -c %t:%T:%a /dev/null; readlink /dev/ptmx",
      [](husk::oci::Spec spec) {
        spec.hostname = "inside";
        return spec;
      });
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out, ContainsSubstring("1\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("inside\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("0::/\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("1:3:666\npts/ptmx\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("urandom\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("mqueue /dev/mqueue mqueue rw,nosuid,nodev,noexec"));
  CHECK_THAT(outcome.out, ContainsSubstring("sysfs /sys sysfs ro,nosuid,nodev,noexec"));
  CHECK_THAT(outcome.out, ContainsSubstring("cgroup /sys/fs/cgroup cgroup2 ro"));
  CHECK_THAT(outcome.out, !ContainsSubstring("/run/husk"));
}

TEST_CASE("agent: the process runs as the user, with the rights and limits asked for", "[vm]") {
  const Ended outcome = shell(
      "id; grep -E 'Cap|NoNewPrivs' /proc/self/status; ulimit -n; umask; pwd; env; "
      "echo again > /dev/stdout",
      [](husk::oci::Spec spec) {
        spec.process->user.uid = 1000;
        spec.process->user.gid = 1001;
        spec.process->user.additional_gids = {5, 6};
        spec.process->user.umask = 027;
        spec.process->cwd = "/made/here";
        spec.process->no_new_privileges = true;
        spec.process->rlimits = {{"RLIMIT_NOFILE", 123, 456}};
        spec.process->capabilities.emplace();
        spec.process->capabilities->bounding = {"CAP_CHOWN", "CAP_KILL", "CAP_INVENTED"};
        return spec;
      });
  CHECK_THAT(outcome.out, ContainsSubstring("uid=1000 gid=1001 groups=5,6"));
  CHECK_THAT(outcome.out, ContainsSubstring("CapEff:\t0000000000000000"));
  CHECK_THAT(outcome.out, ContainsSubstring("CapBnd:\t0000000000000021"));
  CHECK_THAT(outcome.out, ContainsSubstring("NoNewPrivs:\t1"));
  CHECK_THAT(outcome.out, ContainsSubstring("123\n0027\n/made/here\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("HOME=/\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("again\n"));
  CHECK(outcome.err == "");
}

TEST_CASE("agent: masked and read-only paths and a read-only root hold", "[vm]") {
  const Ended outcome = shell(
      "wc -c < /proc/kallsyms; ls /proc/irq /proc/bus | grep -v /; echo 1 > "
      "/proc/sys/vm/panic_on_oom || echo refused; "
      "touch /file || echo read-only; touch /dev/file || echo sealed",
      [](husk::oci::Spec spec) {
        spec.linux_.masked_paths = {"/proc/kallsyms", "/proc/irq", "/proc/not/there", "/proc/bus"};
        spec.linux_.readonly_paths = {"/proc/sys"};
        spec.root->readonly = true;
        spec.mounts[1].options.push_back("ro");
        spec.process->capabilities.emplace();
        return spec;
      });
  CHECK(outcome.out == "0\n\nrefused\nread-only\nsealed\n");
}

TEST_CASE("agent: seccomp's filter is in force", "[vm]") {
  const Ended outcome = shell("mkdir /tmp/x || echo refused; true", [](husk::oci::Spec spec) {
    spec.linux_.seccomp.emplace();
    spec.linux_.seccomp->default_action = "SCMP_ACT_ALLOW";
    spec.linux_.seccomp->architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};
    spec.linux_.seccomp->syscalls = {
        {{"mkdir", "mkdirat", "no_such_call"}, "SCMP_ACT_ERRNO", 1, {}}};
    return spec;
  });
  CHECK(outcome.out == "refused\n");
  CHECK_THAT(outcome.err, ContainsSubstring("Operation not permitted"));
}

TEST_CASE("agent: a user namespace maps the container's root away", "[vm]") {
  const Ended outcome = shell("id -u; cat /proc/self/uid_map; ls /dev/null; mount | grep -c sysfs",
                              [](husk::oci::Spec spec) {
                                spec.linux_.namespaces.push_back({"user", std::nullopt});
                                spec.linux_.uid_mappings = {{0, 100000, 65536}};
                                spec.linux_.gid_mappings = {{0, 100000, 65536}};
                                std::filesystem::path rootfs = spec.root->path;
                                return spec;
                              });
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out, ContainsSubstring("0\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("100000"));
}

TEST_CASE("agent: a command that cannot be run fails in create with runc's words", "[vm]") {
  const std::string prefix = "unable to start container process: exec: ";
  const auto error_for = [](const char* command) {
    const std::string id = new_id();
    std::ofstream(guest().share() / id / "rootfs/data") << "text";
    return create_error(make_spec(id, {command}), id);
  };
  CHECK(error_for("nothing") == prefix + "\"nothing\": executable file not found in $PATH");
  CHECK(error_for("/no/thing") ==
        prefix + "\"/no/thing\": stat /no/thing: no such file or directory");
  CHECK(error_for("/data") == prefix + "\"/data\": permission denied");
  CHECK(error_for("/bin") == prefix + "\"/bin\": is a directory");
}

TEST_CASE("agent: a file that is no program fails in start", "[vm]") {
  const std::string id = new_id();
  const auto file = guest().share() / id / "rootfs/garbage";
  std::ofstream(file) << "\x01\x02 no program";
  std::filesystem::permissions(file, std::filesystem::perms::all);
  Running container(id, make_spec(id, {"/garbage"}));
  container.own();
  CHECK_THROWS_WITH(container.start(), "exec /garbage: exec format error");
  CHECK(container.wait_exit() == 127);
  client().delete_container(id);
}

TEST_CASE("agent: ids are unique, unknown ones and wrong states are refused", "[vm]") {
  const std::string id = new_id();
  CHECK_THROWS_WITH(client().start_process({"unknown", {}}), "container does not exist");
  Running container(id, make_spec(id, {"sleep", "1000"}));
  CHECK(create_error(make_spec(id, {"true"}), id) == "container with given ID already exists");
  container.own();
  container.start();
  CHECK_THROWS_WITH(container.start(), "cannot start an already running container");
  CHECK_THROWS_WITH(client().delete_container(id), ContainsSubstring("that is not stopped"));
  client().signal_process({{id, {}}, SIGKILL, false});
  CHECK(container.wait_exit() == 128 + SIGKILL);
  CHECK_THROWS_WITH(client().signal_process({{id, {}}, SIGTERM, false}), "container not running");
  CHECK_THROWS_WITH(client().start_process({id, {}}), "cannot start a container that has stopped");
  client().delete_container(id);
  CHECK_THROWS_WITH(client().delete_container(id), "container does not exist");
}

TEST_CASE("agent: more callers at once than there is room for wait their turn", "[vm]") {
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 40; ++i) {
    callers.push_back(connect_guest(guest().address(), control_port, 20s));
  }
  const nlohmann::json hello = Hello{protocol_version, "test", guest().access().secret};
  for (const UniqueFd& caller : callers) {
    write_frame(caller.get(), encode(Request{1, "hello", hello}));
    CHECK(read_frame(caller.get()));
  }
}

TEST_CASE("agent: SIGTERM ends a container that was never started", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"true"}));
  container.own();
  client().signal_process({{id, {}}, SIGTERM, false});
  CHECK(container.wait_exit() == 128 + SIGTERM);
  client().delete_container(id);
}

TEST_CASE("agent: all processes of a container get a signal that is for all", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"sh", "-c",
                                       "trap 'echo got' USR1; "
                                       "(trap 'echo child; exit' USR1; "
                                       "echo ready; while true; do sleep 0.1; done) & child=$!; "
                                       "while kill -0 $child; do sleep 0.1; done; exit 5"}));
  container.own();
  container.start();
  // Both have their traps by then, and the first, with which all end, waits for the other. (Not by
  // wait, which busybox's sh now and then does not leave when a signal came meanwhile.)
  REQUIRE(container.read_line() == "ready");
  client().signal_process({{id, {}}, SIGUSR1, true});
  const Ended outcome = container.finish();
  CHECK(outcome.status == 5);
  CHECK_THAT(outcome.out, ContainsSubstring("got"));
  CHECK_THAT(outcome.out, ContainsSubstring("child"));
  client().delete_container(id);
}

TEST_CASE("agent: a container dies with the connection that owns it", "[vm]") {
  const std::string id = new_id();
  Running container(id, make_spec(id, {"sleep", "1000"}));
  container.own();
  container.start();
  container.drop_connection();
  for (int i = 0; i < 200; ++i) {
    try {
      client().delete_container(id);
      SUCCEED();
      return;
    } catch (const husk::Error&) {
      std::this_thread::sleep_for(50ms);
    }
  }
  FAIL("it still runs");
}

TEST_CASE("agent: links in the image lead nowhere outside of it", "[vm]") {
  const std::string id = new_id();
  const auto rootfs = guest().share() / id / "rootfs";
  std::filesystem::create_symlink("../../../../..", rootfs / "up");
  std::filesystem::create_symlink("/run/husk/shared", rootfs / "abs");
  std::filesystem::create_directories(rootfs / "run/husk/shared");
  std::filesystem::create_directories(guest().share() / id / "mounts/0");
  husk::oci::Spec spec = make_spec(id, {"sh", "-c", "ls -d /escaped /run/husk/shared/inner"});
  spec.mounts.push_back(mount("tmpfs", "/up/escaped", {}));
  husk::oci::Mount bind;
  bind.type = "bind";
  bind.source = std::string(share_mount_point) + "/" + id + "/mounts/0";
  bind.destination = "/abs/inner";
  bind.options = {"rbind"};
  spec.mounts.push_back(bind);
  Running container(id, spec);
  container.own();
  container.start();
  const Ended outcome = container.finish();
  CHECK(outcome.out == "/escaped\n/run/husk/shared/inner\n");
  CHECK_FALSE(std::filesystem::exists(guest().share() / "inner"));
  client().delete_container(id);
}

TEST_CASE("agent: proc on a link is refused", "[vm]") {
  const std::string id = new_id();
  const auto rootfs = guest().share() / id / "rootfs";
  std::filesystem::remove(rootfs / "proc");
  std::filesystem::create_symlink("tmp", rootfs / "proc");
  CHECK_THAT(create_error(make_spec(id, {"true"}), id),
             ContainsSubstring("must be mounted on ordinary directory"));
}

TEST_CASE("agent: wrong tokens, garbage and oversized frames hurt only who sends them", "[vm]") {
  const std::string id = new_id();
  const CreateContainer request{id, make_spec(id, {"true"}),
                                Pipes<std::string>{{}, std::string(32, 'a'), {}}};
  CHECK_THROWS_WITH(client().create_container(request, 20s), ContainsSubstring("token"));

  const auto is_closed_after = [](const std::string& bytes) {
    const UniqueFd socket = connect_guest(guest().address(), control_port, 10s);
    husk::write_all(socket.get(), bytes);
    struct pollfd ready {
      socket.get(), POLLIN, 0
    };
    char byte = 0;
    return ::poll(&ready, 1, 10000) == 1 && ::read(socket.get(), &byte, 1) <= 0;
  };
  CHECK(is_closed_after(std::string("\xff\xff\xff\xff", 4)));
  CHECK(is_closed_after(make_frame("{not json")));
  CHECK(is_closed_after(make_frame(std::string(4000, '['))));
  const UniqueFd bad_stream = connect_guest(guest().address(), stream_port, 10s);
  husk::write_all(bad_stream.get(), "HUSK-STREAM " + std::string(66, '.') + "\n");
  char byte = 0;
  CHECK(::read(bad_stream.get(), &byte, 1) <= 0);
  CHECK_THROWS_WITH(client().start_process({"unknown", {}}), "container does not exist");
}

TEST_CASE("agent: many connections are bounded, and it answers afterwards", "[vm]") {
  {
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 150; ++i) {
      try {
        connections.push_back(connect_guest(guest().address(), control_port, 5s));
      } catch (const husk::Error&) {
        break;
      }
    }
    CHECK(connections.size() > 8);
  }
  std::this_thread::sleep_for(500ms);
  CHECK_THROWS_WITH(client().start_process({"unknown", {}}), "container does not exist");
  const Ended outcome = shell("echo alive");
  CHECK(outcome.out == "alive\n");
}

TEST_CASE("agent: nothing of ended containers is left in the guest", "[vm]") {
  const auto look = [] {
    // Without a pid namespace and with ptrace rights the agent itself can be looked at.
    return shell(
               "echo fds $(ls /proc/1/fd | wc -l); echo cgroups $(ls -d "
               "/proc/1/root/sys/fs/cgroup/husk/test-* | wc -l); ps | grep -c Z",
               [](husk::oci::Spec spec) {
                 std::erase_if(spec.linux_.namespaces,
                               [](const husk::oci::Namespace& ns) { return ns.type == "pid"; });
                 spec.process->capabilities.emplace();
                 auto& capabilities = *spec.process->capabilities;
                 capabilities.bounding = {"CAP_SYS_PTRACE"};
                 capabilities.effective = capabilities.permitted = capabilities.bounding;
                 return spec;
               })
        .out;
  };
  const std::string before = look();
  CHECK_THAT(before, ContainsSubstring("cgroups 1\n"));  // its own
  for (int i = 0; i < 8; ++i) {
    shell("true");
    const std::string id = new_id();
    create_error(make_spec(id, {"/no/such"}), id);
  }
  CHECK(look() == before);
}

namespace {

/// Throws what the agent answers.
void configure(const Network& network) {
  AgentClient connection(guest().access(), 20s);
  const UniqueFd socket = connection.release();
  write_frame(socket.get(), encode(Request{7, "configure_network", network}));
  const auto answer = read_frame(socket.get());
  REQUIRE(answer);
  const Response response = decode_response(*answer);
  if (const auto* error = std::get_if<husk::Error>(&response.outcome)) throw husk::Error(*error);
}

LinkAddress address(const char* text, const char* broadcast = "") {
  LinkAddress made;
  made.address = text;
  made.broadcast = broadcast;
  return made;
}

Network loopback_only() {
  LinkAddress own = address("127.0.0.1/8");
  own.scope = RT_SCOPE_HOST;
  Network network;
  NetworkLink& loopback = network.links.emplace_back();
  loopback.name = "lo";
  loopback.mtu = 65536;
  loopback.queue_length = 1000;
  loopback.flags = IFF_UP;
  loopback.addresses = {own, address("::1/128")};
  Route own_route;
  own_route.destination = "::1/128";
  own_route.table = RT_TABLE_MAIN;
  own_route.priority = 256;
  own_route.protocol = RTPROT_KERNEL;
  own_route.type = RTN_UNICAST;
  own_route.hops = {{"lo", "", 0, 0}};
  network.routes = {own_route};
  for (const auto& [is_ipv6, priority, table] : {std::tuple{false, 0u, 255u},
                                                 {false, 32766u, 254u},
                                                 {false, 32767u, 253u},
                                                 {true, 0u, 255u},
                                                 {true, 32766u, 254u}}) {
    Rule rule;
    rule.is_ipv6 = is_ipv6;
    rule.priority = priority;
    rule.table = table;
    rule.action = FR_ACT_TO_TBL;
    rule.protocol = RTPROT_KERNEL;
    network.rules.push_back(rule);
  }
  return network;
}

Network one_card(const char* name) {
  Network network = loopback_only();
  NetworkLink card;
  card.name = name;
  card.device = husk::test::guest_card;
  card.mac = "02:42:ac:11:00:02";
  card.mtu = 1400;
  card.queue_length = 1000;
  card.flags = IFF_UP | IFF_MULTICAST;
  card.addresses = {address("172.17.0.2/16", "172.17.255.255"), address("fd00::2/64")};
  network.links.push_back(card);
  Route gateway;
  gateway.destination = "0.0.0.0/0";
  gateway.table = RT_TABLE_MAIN;
  gateway.protocol = RTPROT_BOOT;
  gateway.type = RTN_UNICAST;
  gateway.hops = {{name, "172.17.0.1", 0, 0}};
  Route prefix = gateway;
  prefix.destination = "172.17.0.0/16";
  prefix.protocol = RTPROT_KERNEL;
  prefix.scope = RT_SCOPE_LINK;
  prefix.preferred_source = "172.17.0.2";
  prefix.hops = {{name, "", 0, 0}};
  Route prefix6 = prefix;
  prefix6.destination = "fd00::/64";
  prefix6.scope = 0;
  prefix6.priority = 256;
  prefix6.preferred_source.clear();
  network.routes.insert(network.routes.end(), {gateway, prefix, prefix6});
  return network;
}

constexpr const char* look_at_network =
    "ls /sys/class/net; busybox ip -o addr; busybox ip route; busybox ip -6 route";

}  // namespace

TEST_CASE("agent: the network is as the host says, and a second time nothing changes", "[vm]") {
  const std::string id = new_id();
  husk::oci::Spec spec = make_spec(
      id,
      {"sh", "-c", std::string(look_at_network) + "; cat /proc/sys/net/ipv4/conf/web0/rp_filter"});
  spec.linux_.sysctl = {{"net.ipv4.conf.web0.rp_filter", "2"}};  // of a link that comes later
  Running container(id, spec);
  container.own();
  CHECK_THROWS_WITH(container.start(), ContainsSubstring("sysctl net/ipv4/conf/web0/rp_filter"));
  Network network = one_card("web0");
  network.sysctls = {{"ipv4/conf/web0/rp_filter", "0"}, {"ipv4/conf/web0/arp_ignore", "1"}};
  configure(network);
  container.start();
  const Ended outcome = container.finish();
  CAPTURE(outcome.out, outcome.err);
  CHECK_THAT(outcome.out, ContainsSubstring("lo\nweb0\n"));
  CHECK_THAT(outcome.out, ContainsSubstring("172.17.0.2/16 brd 172.17.255.255"));
  CHECK_THAT(outcome.out, ContainsSubstring("fd00::2/64"));
  CHECK_THAT(outcome.out, !ContainsSubstring("inet6 fe80"));  // none of its own
  CHECK_THAT(outcome.out, ContainsSubstring("default via 172.17.0.1 dev web0"));
  CHECK(outcome.out.ends_with("\n2\n"));
  client().delete_container(id);
  const std::string before = shell(look_at_network).out;
  configure(network);
  CHECK(shell(look_at_network).out == before);
  configure(one_card("eth0"));
  CHECK_THAT(shell(look_at_network).out, ContainsSubstring("eth0\nlo\n") &&
                                             ContainsSubstring("default via 172.17.0.1 dev eth0"));
}

TEST_CASE("agent: a card that is not in the picture is taken away, and comes back", "[vm]") {
  guest();
  client();
  configure(loopback_only());
  CHECK(shell("ls /sys/class/net").out == "lo\n");
  configure(one_card("eth0"));  // by looking at the bus once more
  CHECK(shell("ls /sys/class/net").out == "eth0\nlo\n");
  Network network = one_card("eth0");
  network.links[1].device = "02:00:00:00:00:99";
  CHECK_THROWS_WITH(configure(network), "network: the guest has no card for eth0");
  configure(loopback_only());
  CHECK(shell("ls /sys/class/net; busybox ip route").out == "lo\n");
}

TEST_CASE("agent: the guest powers off when the last connection closes", "[vm]") {
  husk::test::VmGuest own_guest;
  {
    AgentClient connection(own_guest.access(), 20s);
    CHECK_FALSE(own_guest.powers_off_within(500ms));
  }
  CHECK(own_guest.powers_off_within(10s));
}
