// SPDX-License-Identifier: Apache-2.0
// In the place of lib/runtime for the fuzz target of the command line: no command may be run, so
// there is nothing here that could make or change anything.
#include <cstdlib>

#include "lib/runtime/keeper_commands.hpp"
#include "lib/runtime/runtime.hpp"

namespace husk::runtime {

CreatedContainer Runtime::create(const CreateRequest&) { std::abort(); }
void Runtime::start(const std::string&) { std::abort(); }
int Runtime::exec(const ExecRequest&) { std::abort(); }
void Runtime::kill(const std::string&, int, bool) { std::abort(); }
void Runtime::pause(const std::string&) { std::abort(); }
void Runtime::update(const std::string&, const oci::Resources&) { std::abort(); }
Runtime::Statistics Runtime::statistics(const std::string&) const { std::abort(); }
void Runtime::follow_events(const std::string&, std::chrono::milliseconds, const OnEvent&) const {
  std::abort();
}
void Runtime::resume(const std::string&) { std::abort(); }
void Runtime::remove(const std::string&, bool) { std::abort(); }
oci::State Runtime::state(const std::string&) const { std::abort(); }
std::vector<pid_t> Runtime::host_processes(const std::string&) const { std::abort(); }
guestcomm::ProcessList Runtime::guest_processes(const std::string&) const { std::abort(); }
std::vector<oci::State> Runtime::list() const { std::abort(); }
int Runtime::run(const CreateRequest&, bool) { std::abort(); }

Config load_config(const std::filesystem::path&) { std::abort(); }
InstallPaths find_install_paths() { std::abort(); }
std::optional<KeeperCommand> find_keeper_command(std::string_view) { std::abort(); }
void run_keeper_command(KeeperCommand, const KeeperWork&, const hypervisor::ConnectHypervisor&) {
  std::abort();
}

}  // namespace husk::runtime

namespace husk::hypervisor {
std::unique_ptr<Hypervisor> bounded_libvirt(const HypervisorOptions&) { std::abort(); }
}  // namespace husk::hypervisor
