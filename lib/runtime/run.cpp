// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/base/signals.hpp"
#include "lib/base/trace.hpp"
#include "lib/runtime/caller/foreground.hpp"
#include "lib/runtime/caller/terminal.hpp"
#include "lib/runtime/runtime.hpp"

namespace husk::runtime {

int Runtime::run(const CreateRequest& request, bool keep) {
  std::optional<Cancellation> cancellation(std::in_place);
  const CreatedContainer container = create(request);
  try {
    const bool is_detached = request.streams.detached;
    const UniqueFd signals = is_detached ? UniqueFd{} : collect_signals();
    std::optional<RawTerminal> terminal;
    if (!is_detached && container.has_terminal) terminal.emplace();
    start(request.id);
    cancellation.reset();  // from here on, signals are the container's
    if (is_detached) return 0;
    const int status = traced("the container runs",
                              [&] { return wait_for_shim(container.shim_pid, signals.get()); });
    // The status is the container's, whatever the removal meets, as with runc.
    if (!keep) warn_on_failure([&] { remove(request.id, true); });
    return status;
  } catch (...) {
    cancellation.reset();
    warn_on_failure([&] { remove(request.id, true); });
    throw;
  }
}

}  // namespace husk::runtime
