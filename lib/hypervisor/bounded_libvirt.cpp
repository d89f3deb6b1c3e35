// SPDX-License-Identifier: Apache-2.0
// libvirt with a limit on every question: a client cannot give up waiting for a daemon that stands
// still, but a child that asks for it can be killed.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lib/base/cancellation.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;
using Question = std::function<json(Hypervisor&)>;

/// The child's first word; JSON takes no notice of it.
constexpr std::string_view connected = "\n";

/// The limit for connecting; a daemon may have to be started first.
constexpr auto connect_patience = 60s;
/// A daemon that answered is alive, and may be slow: where it finds a /dev/kvm that it cannot use,
/// it tries out QEMU anew for each start, one after the other, which took up to 52 s for each.
constexpr auto start_patience = 300s;
constexpr auto destroy_patience = 10s;
constexpr auto memory_patience = 20s;
constexpr auto version_patience = 10s;
constexpr auto rename_patience = 10s;
constexpr auto network_patience = 20s;  ///< the guest has 8 s of it to give a card back
constexpr std::size_t max_answer_bytes = 65536;

json write(const ProcessIdentity& process) { return {process.pid, process.start_time}; }
ProcessIdentity read_process(const json& j) {
  return {.pid = j.at(0).get<pid_t>(), .start_time = j.at(1).get<std::uint64_t>()};
}

json write(const StartedVm& vm) {
  json j{{"name", vm.name}, {"process", write(vm.process)}};
  if (vm.cid) j["cid"] = *vm.cid;
  return j;
}
StartedVm read_vm(const json& j) {
  StartedVm vm{
      .name = j.at("name").get<std::string>(), .process = read_process(j.at("process")), .cid = {}};
  if (j.contains("cid")) vm.cid = j["cid"].get<std::uint32_t>();
  return vm;
}

/// The child, which has the parent's descriptors but ends with it.
[[noreturn]] void answer(int pipe, pid_t parent, const HypervisorOptions& options,
                         const Question& question) noexcept {
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(1);
    json result;
    try {
      const auto libvirt = connect_libvirt(options);
      write_all(pipe, connected);
      result["result"] = question(*libvirt);
    } catch (const Error& e) {
      result = {{"code", static_cast<int>(e.code())}, {"what", e.what()}};
    }
    write_all(pipe, result.dump(-1, ' ', false, json::error_handler_t::replace));
  } catch (const std::exception&) {
    ::_exit(1);  // no answer is one, too
  }
  ::_exit(0);
}

/// A child that asks libvirt; killed and reaped when it goes.
class Asker {
 public:
  Asker(const HypervisorOptions& options, const Question& question) {
    Pipe pipe = make_pipe();
    answer_ = std::move(pipe.read_end);
    const pid_t self = ::getpid();
    pid_ = check_sys(::fork(), "fork");
    if (pid_ == 0) answer(pipe.write_end.get(), self, options, question);
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  ~Asker() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  /// The answer's text; throws timed_out, and when cancelled.
  std::string await(std::chrono::seconds patience) const {
    std::string text;
    if (await_more(text, std::min<std::chrono::seconds>(connect_patience, patience)))
      while (await_more(text, patience)) continue;
    return text;
  }

 private:
  /// False at the end.
  bool await_more(std::string& text, std::chrono::seconds patience) const {
    const auto deadline = Clock::now() + patience;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0)
        throw Error(Errc::timed_out,
                    "libvirt did not answer within " + std::to_string(patience.count()) + " s");
      std::array<pollfd, 2> polled{{{answer_.get(), POLLIN, 0}, {cancellation_fd(), POLLIN, 0}}};
      ::poll(polled.data(), polled.size(), static_cast<int>(left.count()));
      throw_if_cancelled();
      if (polled[0].revents != 0) return read_on(text);
    }
  }

  /// False at the end.
  bool read_on(std::string& text) const {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(answer_.get(), buffer.data(), buffer.size());
    if (n <= 0 || text.size() > max_answer_bytes) return n < 0 && errno == EINTR;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    return true;
  }
  pid_t pid_ = -1;
  UniqueFd answer_;
};

class BoundedLibvirt : public Hypervisor {
 public:
  explicit BoundedLibvirt(HypervisorOptions options) : options_(std::move(options)) {}

  StartedVm start(const VmConfig& config) override {
    return read_vm(
        ask(start_patience, [&](Hypervisor& libvirt) { return write(libvirt.start(config)); }));
  }
  void destroy(const std::string& name) override {
    step("end VM " + name, [&] {
      ask(destroy_patience, [&](Hypervisor& libvirt) {
        libvirt.destroy(name);
        return json();
      });
    });
  }
  void attach(const std::string& name, const NetworkCard& card,
              const std::function<void()>& place) override {
    step("attach network card " + card.mac + " to VM " + name, [&] {
      ask(network_patience, [&](Hypervisor& libvirt) {
        libvirt.attach(name, card, place);
        return json();
      });
    });
  }
  void change(const std::string& name, const MemoryDevice& device) override {
    step("change the memory of VM " + name, [&] {
      ask(memory_patience, [&](Hypervisor& libvirt) {
        libvirt.change(name, device);
        return json();
      });
    });
  }
  void rename(const std::string& name, const std::string& title,
              const std::string& description) override {
    step("rename VM " + name, [&] {
      ask(rename_patience, [&](Hypervisor& libvirt) {
        libvirt.rename(name, title, description);
        return json();
      });
    });
  }
  std::string version() override {
    return ask(version_patience, [](Hypervisor& libvirt) { return json(libvirt.version()); })
        .get<std::string>();
  }

 private:
  json ask(std::chrono::seconds patience, const Question& question) const {
    const Asker asker(options_, question);
    const json answered = json::parse(asker.await(patience), nullptr, false);
    if (answered.contains("result")) return answered["result"];
    if (answered.contains("what"))
      throw Error(static_cast<Errc>(answered.at("code").get<int>()),
                  answered["what"].get<std::string>());
    throw Error(Errc::internal, "the process that calls libvirt exited without an answer");
  }
  HypervisorOptions options_;
};

}  // namespace

std::unique_ptr<Hypervisor> bounded_libvirt(const HypervisorOptions& options) {
  return std::make_unique<BoundedLibvirt>(options);
}

}  // namespace husk::hypervisor
