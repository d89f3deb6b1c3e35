// SPDX-License-Identifier: Apache-2.0
// In the place of lib/runtime for the fuzz target of the command line: no command may be run, so
// there is nothing here that could make or change anything.
#include <cstdlib>

#include "lib/check/judge.hpp"
#include "lib/check/look_at_host.hpp"
#include "lib/runtime/host/config_text.hpp"
#include "lib/runtime/keeper_commands.hpp"
#include "lib/runtime/pool.hpp"
#include "lib/runtime/runtime.hpp"
#include "lib/setup/changed_file.hpp"
#include "lib/setup/daemon_json.hpp"

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
std::string format_config(const Config&, const InstallPaths&) { std::abort(); }
std::optional<KeeperCommand> find_keeper_command(std::string_view) { std::abort(); }
void run_keeper_command(KeeperCommand, const KeeperWork&, const hypervisor::ConnectHypervisor&) {
  std::abort();
}

void fill_pool(const Pool&, PoolPatience, const PoolReport&) { std::abort(); }
void drain_pool(const hypervisor::ConnectHypervisor&, const PoolReport&) { std::abort(); }
std::vector<PoolVm> list_pool(const Pool&) { std::abort(); }

}  // namespace husk::runtime

namespace husk::hypervisor {
std::unique_ptr<Hypervisor> bounded_libvirt(const HypervisorOptions&) { std::abort(); }
}  // namespace husk::hypervisor

namespace husk::check {
Host look_at_host(const std::filesystem::path&) { std::abort(); }
std::vector<Finding> judge(const Host&) { std::abort(); }
Verdict worst(const std::vector<Finding>&) { std::abort(); }
}  // namespace husk::check

namespace husk::setup {
std::string read_or_empty(const std::filesystem::path&) { std::abort(); }
std::filesystem::path change_file(const std::filesystem::path&, const std::string&,
                                  const std::string&) {
  std::abort();
}
std::optional<std::string> add_runtime(const std::string&, const std::filesystem::path&) {
  std::abort();
}
std::optional<std::string> remove_runtime(const std::string&) { std::abort(); }
}  // namespace husk::setup
