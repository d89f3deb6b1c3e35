// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/file_server_plan.hpp"

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"
#include "lib/runtime/host/guest_kernel.hpp"
#include "lib/runtime/host/own_annotations.hpp"
#include "lib/runtime/plan/annotations.hpp"

namespace husk::runtime {
namespace {

/// So many processes of a VM may wait for dead servers before the others wait, too.
constexpr unsigned threads_that_may_wait = 16;

std::string name_for_rust(FileCache cache) {
  switch (cache) {
    case FileCache::always:
      return "always";
    case FileCache::metadata:
      return "metadata";
    case FileCache::never:
      return "never";
    case FileCache::automatic:
      break;
  }
  return "auto";
}

std::string name_for_c(FileCache cache, const Virtiofsd& virtiofsd) {
  if (cache == FileCache::metadata)
    throw Error(Errc::unsupported, "files.cache: " + virtiofsd.program.string() +
                                       " has no \"metadata\": it is the older virtiofsd, in C");
  return cache == FileCache::never ? "none" : name_for_rust(cache);
}

std::vector<std::string> arguments_for_rust(const FileServerPlan& plan) {
  std::vector<std::string> arguments{"--shared-dir=" + plan.directory.string(), "--xattr",
                                     "--cache=" + name_for_rust(plan.cache), "--log-level=warn"};
  // An older kernel has no share with this.
  if (is_kernel_since(plan.kernel_release, 5, 13)) arguments.emplace_back("--posix-acl");
  // With it open(2) with O_TRUNC takes the set-user-ID bit away, and husk's own kernel does not ask for capabilities at each
  // write. A kernel without rootfs-builder/kernel-patches goes on showing the bit for a second.
  if (is_own_kernel(plan.kernel_release)) arguments.emplace_back("--killpriv-v2");
  return arguments;
}

std::vector<std::string> arguments_for_c(const FileServerPlan& plan, const Virtiofsd& virtiofsd) {
  return {"-o", "source=" + plan.directory.string() +
                    ",xattr,log_level=warn,cache=" + name_for_c(plan.cache, virtiofsd)};
}

}  // namespace

FileOptions asked_files(const std::map<std::string, std::string>& annotations,
                        const FileOptions& usual) {
  FileOptions options = usual;
  if (const auto cache = annotations.find(cache_annotation); cache != annotations.end()) {
    const auto parsed = parse_file_cache(cache->second);
    if (!parsed)
      refuse_annotation(cache_annotation,
                        quote(cache->second) + " is none of auto, always, metadata and never");
    options.cache = *parsed;
  }
  if (annotations.contains(threads_annotation))
    options.threads = static_cast<unsigned>(
        read_annotation(annotations, threads_annotation, 0, max_file_threads));
  return options;
}

FileServerPlan plan_file_server(const std::filesystem::path& program, const ServedShare& share,
                                const FileOptions& options) {
  return {
      .program = program,
      .directory = share.directory,
      .kernel_release = share.kernel_release,
      .max_open_files = share.max_open_files,
      .cache = options.cache,
      // A request for a local file takes less than a thread takes to wake up (docs/performance.md).
      .threads = options.threads.value_or(share.may_wait ? threads_that_may_wait : 0)};
}

handoff::FileServerSetup file_server_setup(const FileServerPlan& plan, const Virtiofsd& virtiofsd) {
  // xattr: security.capability and the like. rlimit-nofile: the keeper has set the limit, which must not be raised.
  handoff::FileServerSetup setup{
      .program = virtiofsd.program.string(),
      .arguments = virtiofsd.is_rust ? arguments_for_rust(plan) : arguments_for_c(plan, virtiofsd),
      .max_open_files = plan.max_open_files};
  setup.arguments.push_back("--thread-pool-size=" + std::to_string(plan.threads));
  setup.arguments.emplace_back("--rlimit-nofile=0");
  return setup;
}

}  // namespace husk::runtime
