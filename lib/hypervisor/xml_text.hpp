// SPDX-License-Identifier: Apache-2.0
// Text that may come from anyone as text of an XML document. Private to lib/hypervisor.
#pragma once

#include <string>
#include <string_view>

namespace husk::hypervisor {

/// Escapes element content and attribute values in either kind of quotes. Throws invalid_argument for
/// what XML 1.0 cannot hold: control characters, and anything that is not UTF-8.
std::string xml_escape(std::string_view text);

/// "<name>text</name>" with the text escaped.
std::string xml_element(const std::string& name, std::string_view text);

}  // namespace husk::hypervisor
