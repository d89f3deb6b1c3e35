// SPDX-License-Identifier: Apache-2.0
#include "agent/container/guest_resizer.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/parse_number.hpp"

namespace husk::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using guestcomm::GuestSize;

constexpr auto look_interval = 5ms;
/// An emulated guest on a busy host takes a second for some steps.
constexpr auto patience = 5s;
constexpr std::uint64_t mib = 1u << 20;
constexpr const char *threads_parameter = "kernel/threads-max", *files_parameter = "fs/file-max";

std::uint64_t whole_number_in(const fs::path& file) {
  std::string text = read_file(file, 64);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto number = parse_number<std::uint64_t>(text);
  if (!number) throw Error(Errc::invalid_argument, file.string() + ": is not a number");
  return *number;
}

/// "cpu0", and nothing else that is there ("cpufreq").
bool is_cpu(const std::string& name) {
  return name.starts_with("cpu") && parse_number<unsigned>(name.substr(3)).has_value();
}

/// The files that switch a processor on and off; the first processor, which is always on, has none.
std::vector<fs::path> switches_of_cpus(const fs::path& directory) {
  std::vector<fs::path> switches;
  for (const auto& entry : fs::directory_iterator(directory))
    if (is_cpu(entry.path().filename().string()) && fs::exists(entry.path() / "online"))
      switches.push_back(entry.path() / "online");
  std::ranges::sort(switches);
  return switches;
}

/// Switches processors until so many are in use; returns how many are.
unsigned use_cpus(const fs::path& directory, unsigned wanted) {
  unsigned used = 1;
  for (const fs::path& cpu : switches_of_cpus(directory)) {
    const bool use = used < wanted;
    try {
      if (whole_number_in(cpu) != (use ? 1U : 0U)) write_existing(cpu, use ? "1" : "0");
    } catch (const Error&) {
      // Tried again at the next look. The host is told how many there are.
    }
    if (whole_number_in(cpu) == 1) ++used;
  }
  return used;
}

}  // namespace

GuestResizer::GuestResizer(EventLoop& loop, fs::path cgroup, std::set<std::string> fixed,
                           GuestFiles files)
    : loop_(loop),
      cgroup_parent_(std::move(cgroup)),
      fixed_(std::move(fixed)),
      files_(std::move(files)) {
  warn_on_failure([&] {
    threads_max_ = whole_number_in(files_.proc / "sys" / threads_parameter);
    files_max_ = whole_number_in(files_.proc / "sys" / files_parameter);
    at_boot_ = load_guest_capacity(files_.proc);
  });
}

std::uint64_t GuestResizer::plugged_bytes() const {
  const std::uint64_t now = load_guest_capacity(files_.proc).memory_total;
  return now - std::min(now, at_boot_.value().memory_total);
}

GuestSize GuestResizer::look(unsigned wanted_cpus) const {
  return {.plugged_mib = (plugged_bytes() + mib / 2) / mib,
          .vcpus = use_cpus(files_.cpus, wanted_cpus)};
}

void GuestResizer::resize(const GuestSize& wanted, const Reply& reply) {
  if (!at_boot_) throw Error(Errc::system, "the guest could not find out its size at boot");
  if (waiting_) answer();
  waiting_.emplace(Waiting{wanted, reply, look(wanted.vcpus), EventLoop::Clock::now()});
  if (waiting_->seen.plugged_mib > wanted.plugged_mib)
    std::exchange(waiting_->reply, nullptr)(nlohmann::json(waiting_->seen));
  look_again();
}

void GuestResizer::look_again() {
  if (!waiting_) return;
  const GuestSize now = look(waiting_->wanted.vcpus);
  if (now != waiting_->seen) waiting_->since = EventLoop::Clock::now();
  waiting_->seen = now;
  if (now == waiting_->wanted || EventLoop::Clock::now() - waiting_->since > patience)
    return answer();
  loop_.after(look_interval, [this] { look_again(); });
}

void GuestResizer::answer() {
  const Waiting done = *std::exchange(waiting_, std::nullopt);
  warn_on_failure([&] { apply_limits_for(plugged_bytes()); });
  if (done.reply) done.reply(nlohmann::json(done.seen));
}

/// What the kernel makes of its memory at boot, for the memory that it has now.
void GuestResizer::scale(const char* parameter, std::uint64_t at_boot,
                         std::uint64_t memory_now) const {
  const std::uint64_t steps = at_boot_.value().memory_total / mib;
  if (steps == 0 || fixed_.contains(parameter)) return;
  const std::uint64_t scaled = at_boot * (memory_now / mib) / steps;
  // A kernel has a greatest number of threads, and keeps the old one.
  warn_on_failure([&] {
    write_existing(files_.proc / "sys" / parameter, std::to_string(std::max(at_boot, scaled)));
  });
}

void GuestResizer::apply_limits_for(std::uint64_t plugged) const {
  const GuestCapacity& boot = at_boot_.value();
  const std::uint64_t memory = boot.memory_total + plugged;
  scale(threads_parameter, threads_max_, memory);
  scale(files_parameter, files_max_, memory);
  GuestCapacity now = load_guest_capacity(files_.proc);
  now.memory_total = memory;
  // A 64th of the new memory describes its pages.
  now.memory_available = boot.memory_available + plugged - plugged / 64;
  now.tasks = boot.tasks;
  apply_container_share(plan_container_share(now), cgroup_parent_);
}

}  // namespace husk::agent
