// SPDX-License-Identifier: Apache-2.0
// keep-vm: the process of a VM's keeper, for systemd to start. Not for people, and not shown to them.
#include <CLI/CLI.hpp>

#include "cli/options.hpp"
#include "lib/runtime/vm/keeper_plan.hpp"

namespace husk::cli {

void add_keep_vm(CLI::App& app) {
  auto request = std::make_shared<runtime::KeepRequest>();
  CLI::App* command =
      app.add_subcommand("keep-vm", "keep a VM running (internal command)")->group("");
  command->add_option("vm-id", request->vm_id)->required();
  command->add_flag("--device", request->has_device);
  command->callback([request] { runtime::keep_vm(*request, hypervisor::bounded_libvirt); });
}

}  // namespace husk::cli
