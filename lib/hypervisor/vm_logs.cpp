// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/vm_logs.hpp"

#include <filesystem>
#include <system_error>

namespace husk::hypervisor {

namespace fs = std::filesystem;

void remove_vm_logs(const Driver& driver, const std::string& vm) noexcept {
  std::error_code failed, ignored;
  for (fs::directory_iterator entry(driver.log_directory(), failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (driver.is_log_file(entry->path().filename().string(), vm))
      fs::remove(entry->path(), ignored);
  }
}

}  // namespace husk::hypervisor
