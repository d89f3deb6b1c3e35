// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/file_server_plan.hpp"

namespace husk::runtime {

handoff::FileServerSetup plan_file_server(const Virtiofsd& virtiofsd,
                                          const std::filesystem::path& share,
                                          std::uint64_t max_open_files) {
  handoff::FileServerSetup setup{
      .program = virtiofsd.program.string(), .arguments = {}, .max_open_files = max_open_files};
  // xattr: security.capability and the like. rlimit-nofile: the keeper has set the limit, which must not be raised.
  // No killpriv-v2, by which an open that truncates took the set-user-ID bit away: a guest with kernel 6.1 then shows the
  // bit for a second after any write.
  if (virtiofsd.is_rust)
    setup.arguments = {"--shared-dir=" + share.string(), "--xattr", "--rlimit-nofile=0"};
  else
    setup.arguments = {"-o", "source=" + share.string() + ",xattr", "--rlimit-nofile=0"};
  return setup;
}

}  // namespace husk::runtime
