// SPDX-License-Identifier: Apache-2.0
#include "ch/go_between.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "ch/additions.hpp"
#include "ch/command_line.hpp"
#include "ch/event_monitor.hpp"
#include "ch/http.hpp"
#include "ch/vm_config.hpp"
#include "lib/base/capabilities.hpp"
#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/process.hpp"
#include "lib/base/text.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::ch {
namespace {

using Arguments = std::vector<std::string>;

/// What the child needs of the parent, which becomes cloud-hypervisor.
struct Relay {
  std::filesystem::path folder;  ///< for failure_file
  std::string program;           ///< for errors
  std::string serial_file;
  std::string request;
  sockaddr_un address{};  ///< of the API's socket
  socklen_t address_size = 0;
  UniqueFd libvirt;  ///< the connection that waits for the answer
  UniqueFd events;   ///< may be empty
  UniqueFd parent;   ///< pidfd
  Pipe executed;     ///< end of file: the parent has executed the program; a byte: it could not
};

void write_failure_file(const std::filesystem::path& folder, const std::string& text) noexcept try {
  write_file_atomic(folder / failure_file, text + "\n", 0600);
} catch (const std::exception&) {
  // husk then knows libvirt's words alone.
}

/// Not a wait: the text is smaller than the buffer of a socket to which nothing was sent. Nobody is left to hear of a
/// failure.
void send_error(int connection, unsigned status, const std::string& text) {
  const std::string answer = to_text(error_answer(status, one_line(text)));
  [[maybe_unused]] const ssize_t sent =
      ::send(connection, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/// Returns only by an error.
[[noreturn]] void execute(const std::string& program, Arguments arguments) {
  arguments[0] = program;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw_errno("execute " + program);
}

UniqueFd accept_connection(int listener, const Deadline& deadline) {
  int listens = 0;
  socklen_t size = sizeof listens;
  check_sys(::getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size),
            "the socket of --api-socket");
  if (listens == 0)
    throw Error(Errc::invalid_argument, "the socket of --api-socket does not listen");
  if (await(listener, POLLIN, -1, deadline) != Readiness::ready)
    throw Error(Errc::timed_out, "nobody connected to the API's socket in time");
  return UniqueFd{check_sys(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept")};
}

/// Cloud Hypervisor has the socket already, if it has not come to accepting from it: this does not wait. With a full
/// queue it fails instead.
UniqueFd connect_program(const Relay& relay) {
  UniqueFd socket{
      check_sys(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "make a socket")};
  const auto* const address = reinterpret_cast<const sockaddr*>(&relay.address);
  if (::connect(socket.get(), address, relay.address_size) != 0)
    throw_errno("connect to " + relay.program);
  return socket;
}

/// Waits for the exec(2). False: the parent could not, and answers for itself.
bool is_executed(const Relay& relay, const Deadline& deadline) {
  char byte = 0;
  if (await(relay.executed.read_end.get(), POLLIN, -1, deadline) != Readiness::ready) return false;
  return ::read(relay.executed.read_end.get(), &byte, 1) == 0;
}

std::string ask_program(const Relay& relay, const Deadline& deadline) {
  const UniqueFd socket = connect_program(relay);
  // The directories may be those of libvirt's user, so not before connecting.
  drop_capabilities();
  return step(relay.program, [&] {
    send_before(socket.get(), vm_create_request(relay.request), deadline);
    const Answer answer = receive_answer(socket.get(), relay.parent.get(), deadline);
    if (answer.status >= 400)
      write_failure_file(relay.folder, relay.program + ": " + one_line(answer.body));
    return to_text(answer);
  });
}

/// The child. It keeps no copy of the API's socket, or the end of Cloud Hypervisor would not refuse a connection; and no
/// stream, which libvirt may read to its end. It does keep the FIFO of the events: the parent's is closed by exec(2),
/// and with no writer until Cloud Hypervisor has opened the FIFO itself, libvirt would read an end of file.
/// Cloud Hypervisor opens it before it serves the API, so its answer says that it has.
void relay_request(const Relay& relay, const Deadline& deadline) {
  std::vector<int> keep{relay.libvirt.get(), relay.parent.get(), relay.executed.read_end.get()};
  if (relay.events) keep.push_back(relay.events.get());
  detach_process(keep, DetachedCgroups::unchanged);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!is_executed(relay, deadline)) return;
  try {
    send_before(relay.libvirt.get(), ask_program(relay, deadline), deadline);
  } catch (const Error& e) {
    write_failure_file(relay.folder, one_line(e.what()));
    send_error(relay.libvirt.get(), 500, e.what());
  }
}

/// libvirt 9.0 gives its emulators no log, and no libvirt tells why a VM could not boot.
void speak_into(const std::string& serial_file) {
  const UniqueFd fifo{
      ::open(serial_file.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat info {};
  if (!fifo || ::fstat(fifo.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) return;
  // A text that does not fit is lost, rather than having Cloud Hypervisor wait for the reader.
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(fifo.get(), stream);
}

/// The parent becomes the program, and the child passes the request on.
[[noreturn]] void hand_over(const Relay& relay, const Arguments& arguments,
                            const Deadline& deadline) {
  fork_orphan([&] { relay_request(relay, deadline); });
  speak_into(relay.serial_file);
  try {
    execute(relay.program, arguments);
  } catch (const Error&) {
    write_all(relay.executed.write_end.get(), "x");
    throw;
  }
}

Relay prepare_relay(const CommandLine& line, const std::string& body) {
  Relay relay;
  const Additions additions = load_additions(line.folder);
  relay.folder = line.folder;
  relay.program = additions.program;
  relay.serial_file = additions.serial_file;
  try {
    relay.request = add_to_vm_config(body, additions);
  } catch (const Error& e) {
    throw Refusal(400, e);
  }
  relay.address_size = sizeof relay.address;
  check_sys(::getsockname(line.api_socket, reinterpret_cast<sockaddr*>(&relay.address),
                          &relay.address_size),
            "the address of --api-socket");
  if (relay.address.sun_family != AF_UNIX)
    throw Error(Errc::invalid_argument, "the socket of --api-socket is no Unix socket");
  relay.parent = UniqueFd{
      static_cast<int>(check_sys(::syscall(SYS_pidfd_open, ::getpid(), 0U), "pidfd_open"))};
  relay.executed = make_pipe();
  return relay;
}

/// Whoever waits gets every error: libvirt tells its caller "failed to create guest VM", and 11.x logs the answer.
[[noreturn]] void serve(const Arguments& arguments, const CommandLine& line,
                        const Deadline& deadline) {
  UniqueFd events;
  if (line.event_monitor) events = open_event_monitor(*line.event_monitor, deadline);
  UniqueFd libvirt = accept_connection(line.api_socket, deadline);
  const int connection = libvirt.get();
  Relay relay;
  try {
    relay = prepare_relay(line, receive_vm_create(connection, deadline));
    relay.libvirt = std::move(libvirt);
    relay.events = std::move(events);
    hand_over(relay, arguments, deadline);
  } catch (const Refusal& e) {
    send_error(connection, e.status(), e.what());
    throw;
  } catch (const Error& e) {
    send_error(connection, 500, e.what());
    throw;
  }
}

/// So that husk finds the process also where libvirt does not tell of it.
void write_process_file(const std::filesystem::path& folder) {
  const ProcessIdentity self = identify_process(::getpid()).value();
  write_file_atomic(folder / process_file,
                    std::to_string(self.pid) + " " + std::to_string(self.start_time) + "\n", 0600);
}

[[noreturn]] void become_program(const Arguments& arguments, const Deadline& deadline) {
  const CommandLine line = read_command_line(arguments);
  if (line.asks_version) execute(load_additions(line.folder).program, arguments);
  try {
    write_process_file(line.folder);
    serve(arguments, line, deadline);
  } catch (const Error& e) {
    write_failure_file(line.folder, one_line(e.what()));
    throw;
  }
}

}  // namespace

int run(const Arguments& arguments, std::chrono::milliseconds patience) {
  try {
    become_program(arguments, Deadline(patience));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "husk-ch: %s\n", one_line(e.what()).c_str());
  }
  return 1;
}

}  // namespace husk::ch
