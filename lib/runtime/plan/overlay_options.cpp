// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/overlay_options.hpp"

#include <algorithm>
#include <array>

#include "lib/base/error.hpp"
#include "lib/runtime/plan/bind_options.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

/// Splits as overlayfs does: a character after a backslash separates nothing.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  bool is_quoted = false;  // as the value of context= is, from its first letter on
  for (std::size_t n = 0; n < text.size(); ++n) {
    if (text[n] == '"') is_quoted = !is_quoted && parts.back().ends_with('=');
    if (text[n] == separator && !is_quoted) {
      parts.emplace_back();
      continue;
    }
    parts.back() += text[n];
    if (text[n] == '\\' && n + 1 < text.size()) parts.back() += text[++n];
  }
  return parts;
}

std::string without_backslashes(const std::string& text) {
  std::string plain;
  for (std::size_t n = 0; n < text.size(); ++n)
    plain += text[n] == '\\' && n + 1 < text.size() ? text[++n] : text[n];
  return plain;
}

std::string without_quotes(const std::string& text) {
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return is_quoted ? text.substr(1, text.size() - 2) : text;
}

/// The flags of overlayfs; a word that is neither one of these nor KEY=VALUE is an option of the mount.
bool is_overlay_flag(const std::string& option) {
  constexpr std::array flags{"userxattr", "volatile"};
  return std::ranges::find(flags, option) != flags.end();
}

class OverlayReader {
 public:
  OverlayReader(std::string field, fs::path bundle)
      : field_(std::move(field)), bundle_(std::move(bundle)) {}

  /// Returns whether the option is overlayfs's.
  bool take(const std::string& option) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) {
      if (is_overlay_flag(option)) source_.options.emplace_back(option, "");
      return is_overlay_flag(option);
    }
    const std::string key = option.substr(0, equals), value = option.substr(equals + 1);
    if (key == "lowerdir") {
      source_.lower.clear();
      for (const std::string& part : split(value, ':')) source_.lower.push_back(read(key, part));
    } else if (key == "upperdir") {
      source_.upper = read(key, value);
    } else if (key == "workdir") {
      source_.work = read(key, value);
    } else {
      if (value.empty()) refuse(key, "has no value");
      source_.options.emplace_back(key, without_quotes(value));
    }
    return true;
  }

  OverlaySource result() const {
    if (source_.lower.empty()) refuse("lowerdir", "missing for an overlay mount");
    if (source_.lower.size() > OverlaySource::max_lower)
      refuse("lowerdir", "names " + std::to_string(source_.lower.size()) + " directories, and " +
                             std::to_string(OverlaySource::max_lower) + " are possible");
    if (source_.upper.empty() != source_.work.empty())
      refuse(source_.upper.empty() ? "upperdir" : "workdir", "missing beside the other of the two");
    return source_;
  }

 private:
  [[noreturn]] void refuse(const std::string& key, const std::string& reason) const {
    throw Error(Errc::invalid_argument, field_ + ": " + key + ": " + reason);
  }
  fs::path read(const std::string& key, const std::string& value) const {
    if (value.empty()) refuse(key, "has an empty name");
    return (bundle_ / without_backslashes(value)).lexically_normal();
  }

  std::string field_;
  fs::path bundle_;
  OverlaySource source_;
};

}  // namespace

PinnedMount plan_overlay(std::size_t number, const fs::path& bundle, oci::Mount& mount) {
  OverlayReader reader("mounts[" + std::to_string(number) + "].options", bundle);
  std::string joined;  // as runc joins them: engines split a name that has a comma
  for (const std::string& option : mount.options) joined += (joined.empty() ? "" : ",") + option;
  std::vector<std::string> others;
  for (const std::string& option : split(joined, ','))
    if (!option.empty() && !reader.take(option)) others.push_back(option);
  mount.type = "bind";
  mount.options = others;
  PinnedMount plan = plan_bind(number, {}, others);
  plan.overlay = reader.result();
  plan.source = plan.overlay->lower.front();
  return plan;
}

std::vector<fs::path> overlay_directories(const oci::Mount& mount) {
  if (!is_made_on_host(mount) || is_bind(mount)) return {};
  try {
    oci::Mount copy = mount;
    const OverlaySource overlay = plan_overlay(0, {}, copy).overlay.value();
    std::vector<fs::path> directories = overlay.lower;
    if (!overlay.upper.empty())
      directories.insert(directories.end(), {overlay.upper, overlay.work});
    return directories;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace husk::runtime
