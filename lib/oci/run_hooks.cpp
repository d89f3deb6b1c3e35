// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/run_hooks.hpp"

#include <chrono>

#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"

namespace husk::oci {
namespace {

constexpr std::size_t max_shown_output = 512;

void run_hook(const Hook& hook, const std::string& state, int namespaces_of) {
  Subprocess program;
  program.program = hook.path;
  if (!hook.args.empty()) {
    program.argv0 = hook.args.front();
    program.arguments.assign(hook.args.begin() + 1, hook.args.end());
  }
  program.environment = hook.env;
  program.stdin_text = state;
  program.namespaces_of = namespaces_of;
  if (hook.timeout) program.timeout = std::chrono::seconds(*hook.timeout);
  const SubprocessResult result = run_subprocess(program);
  if (result.status == 0) return;
  std::string output = result.output;
  if (output.size() > max_shown_output) output.erase(0, output.size() - max_shown_output);
  throw Error(Errc::system, "exit status " + std::to_string(result.status) +
                                (output.empty() ? "" : ": " + output));
}

}  // namespace

void run_hooks(const std::vector<Hook>& hooks, const std::string& kind, const std::string& state,
               int namespaces_of) {
  for (std::size_t n = 0; n < hooks.size(); ++n) {
    step(kind + " hook #" + std::to_string(n) + " " + hooks[n].path,
         [&] { run_hook(hooks[n], state, namespaces_of); });
  }
}

}  // namespace husk::oci
