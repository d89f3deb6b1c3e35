// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/bundle.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/oci/check.hpp"
#include "lib/oci/json_read.hpp"

namespace husk::oci {
namespace {

using Json = nlohmann::json;

// Watches a document while it is parsed. nlohmann's parser keeps its own stack, so depth costs
// nothing before it is refused here; writing and destroying a deep value would recurse.
class DocumentGuard {
 public:
  explicit DocumentGuard(std::string_view what) : what_(what) {}

  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        enter();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        note_key(parsed.get_ref<const std::string&>());
        break;
      case Json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  void enter() {
    keys_.emplace_back();
    if (keys_.size() > static_cast<std::size_t>(max_json_depth))
      throw Error(Errc::invalid_argument, std::string(what_) + ": nested deeper than " +
                                              std::to_string(max_json_depth) + " levels");
  }

  // Which of two wins differs between parsers: what one checks, another would not apply.
  void note_key(const std::string& key) {
    if (!keys_.back().insert(key).second)
      throw Error(Errc::invalid_argument,
                  std::string(what_) + ": field " + quote(key) + " is given twice");
  }

  std::string_view what_;
  std::vector<std::set<std::string>> keys_;  // of every object (and, empty, array) still open
};

// The reason alone, out of "[json.exception...] parse error at ...: syntax error while parsing
// value - invalid literal; last read: '...'": the text read is not ours to repeat.
std::string parse_reason(const std::string& message) {
  const auto column = message.find(": ");
  std::string reason = column == std::string::npos ? message : message.substr(column + 2);
  return reason.substr(0, reason.find("; last read"));
}

UniqueFd open_config(const std::filesystem::path& path) {
  // Looked at before it is opened for reading: opening a pipe or a device can block or do things.
  const UniqueFd handle{::open(path.c_str(), O_PATH | O_CLOEXEC)};
  if (!handle && (errno == ENOENT || errno == ENOTDIR))
    throw Error(Errc::invalid_argument,
                "JSON specification file " + path.filename().string() + " not found");
  if (!handle) throw_errno("open " + path.string());

  struct stat status {};
  check_sys(::fstat(handle.get(), &status), "stat " + path.string());
  if (!S_ISREG(status.st_mode))
    throw Error(Errc::invalid_argument, path.string() + ": not a regular file");
  if (static_cast<std::uintmax_t>(status.st_size) > max_config_bytes)
    throw Error(Errc::invalid_argument,
                path.string() + ": larger than " + std::to_string(max_config_bytes) + " bytes");
  return UniqueFd{check_sys(::open(fd_path(handle.get()).c_str(), O_RDONLY | O_CLOEXEC),
                            "open " + path.string())};
}

std::filesystem::path existing_directory(const std::filesystem::path& path, const char* what) {
  const std::string named = std::string(what) + " " + path.string();
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  if (error)
    throw Error(Errc::invalid_argument, named + ": " + errno_text(error.value()), error.value());
  const bool is_directory = std::filesystem::is_directory(real, error);
  if (error)
    throw Error(Errc::invalid_argument, named + ": " + errno_text(error.value()), error.value());
  if (!is_directory) throw Error(Errc::invalid_argument, named + ": not a directory", ENOTDIR);
  return real;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view what) {
  // nlohmann's lexer takes a NUL for the end of the text and would not look at what follows.
  if (const auto at = text.find('\0'); at != std::string_view::npos)
    throw Error(Errc::invalid_argument, std::string(what) + ": malformed JSON at byte " +
                                            std::to_string(at + 1) + ": NUL byte");
  try {
    return Json::parse(text.begin(), text.end(), DocumentGuard(what));
  } catch (const Json::parse_error& e) {
    throw Error(Errc::invalid_argument, std::string(what) + ": malformed JSON at byte " +
                                            std::to_string(e.byte) + ": " + parse_reason(e.what()));
  } catch (const Json::exception& e) {  // a number too large for a double
    throw Error(Errc::invalid_argument, std::string(what) + ": malformed JSON: " + e.what());
  }
}

Bundle load_bundle(const std::filesystem::path& directory) {
  Bundle bundle;
  bundle.directory = existing_directory(directory, "bundle");
  const auto path = bundle.directory / "config.json";
  const UniqueFd file = open_config(path);
  const std::string text = read_all(file.get(), max_config_bytes, path.string());
  const Json document = parse_json(text, "config.json");
  step("config.json", [&] {
    from_json(document, bundle.spec);
    check_spec(bundle.spec);
  });
  bundle.rootfs = existing_directory(bundle.directory / bundle.spec.root->path, "rootfs");
  return bundle;
}

}  // namespace husk::oci
