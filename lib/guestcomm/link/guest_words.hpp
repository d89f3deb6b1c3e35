// SPDX-License-Identifier: Apache-2.0
// The guest's error texts on their way to husk's callers. Engines read a container's state out of an error text
// ("container not running" means gone), and the guest must not decide that. Pure, but for the debug log.
#pragma once

#include <string>

#include "lib/base/error.hpp"

namespace husk::guestcomm {

/// Tells whether an error of the agent carries husk's words, for callers, or the agent's own, for its tests.
enum class ErrorWords { for_callers, of_the_agent };

/// `text`, or a sentence of husk's own in its place if `text` tells a container's state. The debug log gets
/// `text` then.
std::string without_state(const std::string& text);

/// The error for husk's callers when the agent answers `method` with `answer`. The text of `answer` stays for
/// hello, configure_network, create_*, start_process and update_container, which say what is wrong with the image,
/// the bundle or a limit, unless it tells a container's state. For any other method the debug log alone gets it.
Error refusal(const std::string& method, const Error& answer);

}  // namespace husk::guestcomm
