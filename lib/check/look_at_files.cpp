// SPDX-License-Identifier: Apache-2.0
#include "lib/check/look_at_files.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/subprocess.hpp"
#include "lib/check/ask_child.hpp"
#include "lib/check/error_of.hpp"
#include "lib/check/program_error.hpp"
#include "lib/runtime/host/guest_kernel.hpp"
#include "lib/runtime/host/virtiofsd.hpp"

namespace husk::check {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using nlohmann::json;

/// JSON, since a child's answer is one text; the paths of Linux may be no UTF-8.
std::string as_text(const json& answer) {
  return answer.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Becomes QEMU's user, with the groups that the user table gives to the user.
bool become(unsigned uid) {
  const passwd* const user = ::getpwuid(uid);
  if (user == nullptr)
    return ::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(uid) == 0;
  return ::initgroups(user->pw_name, user->pw_gid) == 0 && ::setgid(user->pw_gid) == 0 &&
         ::setuid(uid) == 0;
}

/// The first directory above the file that the user may not search. This process is the user afterwards.
fs::path find_closed_directory(const fs::path& file, unsigned uid) {
  std::vector<fs::path> directories;
  for (fs::path path = fs::canonical(file).parent_path(); path.has_relative_path();
       path = path.parent_path())
    directories.push_back(path);
  std::ranges::reverse(directories);
  if (!become(uid)) return {};
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // setuid(2) has cleared it
  const auto closed = std::ranges::find_if(
      directories, [](const fs::path& one) { return ::access(one.c_str(), X_OK) != 0; });
  return closed == directories.end() ? fs::path() : *closed;
}

json look_at_file(const fs::path& path, const std::optional<unsigned>& uid) {
  json found{{"closed", ""}, {"release", ""}};
  found["error"] = error_of([&] {
    const UniqueFd opened{
        check_sys(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), path.string())};
    found["release"] = runtime::find_kernel_release(path);
    if (::geteuid() == 0 && uid) found["closed"] = find_closed_directory(path, *uid).string();
  });
  return found;
}

json look_at_program(const std::optional<fs::path>& configured) {
  json found{{"version", ""}, {"rust", false}};
  found["error"] = error_of([&] {
    const auto virtiofsd = runtime::identify_virtiofsd(runtime::find_virtiofsd(configured));
    found["rust"] = virtiofsd.is_rust;
    found["version"] = virtiofsd.version;
  });
  return found;
}

}  // namespace

Part ask_version(const fs::path& program) {
  Part part;
  part.error = error_of([&] {
    const SubprocessResult result = run_subprocess({.program = program.string(),
                                                    .arguments = {"--version"},
                                                    .argv0 = {},
                                                    .environment = std::vector<std::string>{},
                                                    .stdin_text = {},
                                                    .timeout = 10s});
    const std::string line = one_line(result.output.substr(0, result.output.find('\n')));
    if (result.status != 0)
      throw Error(Errc::unsupported, program.string() + " does not run: " + line);
    part.version =
        line.substr(std::min(line.find_first_of("0123456789"), line.size())).substr(0, 80);
  });
  return part;
}

GuestFile look_at_guest_file(const std::string& key, const fs::path& path,
                             const std::optional<unsigned>& uid,
                             std::chrono::milliseconds patience) {
  GuestFile file{.key = key, .path = path};
  file.error = error_of([&] {
    const auto answer = ask_child([&] { return as_text(look_at_file(path, uid)); }, patience);
    file.is_unanswered = !answer;
    if (!answer) throw Error(Errc::timed_out, does_not_answer(path.string(), patience));
    const json found = json::parse(*answer);
    file.closed_directory = found.at("closed").get<std::string>();
    file.release = found.at("release").get<std::string>();
    if (const auto error = found.at("error").get<std::string>(); !error.empty())
      throw Error(Errc::system, error);
  });
  return file;
}

VirtiofsdLook look_at_virtiofsd(const std::optional<fs::path>& configured,
                                std::chrono::milliseconds patience) {
  VirtiofsdLook look;
  look.part.error = error_of([&] {
    const auto answer = ask_child([&] { return as_text(look_at_program(configured)); }, patience);
    look.part.is_unanswered = !answer;
    const std::string name = configured ? "files.virtiofsd: " + configured->string() : "virtiofsd";
    if (!answer) throw Error(Errc::timed_out, does_not_answer(name, patience));
    const json found = json::parse(*answer);
    look.is_rust = found.at("rust").get<bool>();
    look.part.version = found.at("version").get<std::string>();
    if (const auto error = found.at("error").get<std::string>(); !error.empty())
      throw Error(Errc::unsupported, error);
  });
  return look;
}

}  // namespace husk::check
