// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "lib/check/judge.hpp"
#include "lib/check/look_at_host.hpp"

namespace husk::cli {
namespace {

using check::Finding;
using check::Verdict;

const char* word(Verdict verdict) {
  if (verdict == Verdict::pass) return "pass";
  return verdict == Verdict::warn ? "warn" : "fail";
}

std::string conclude(const std::vector<Finding>& findings) {
  const auto warnings = std::ranges::count(findings, Verdict::warn, &Finding::verdict);
  const auto failures = std::ranges::count(findings, Verdict::fail, &Finding::verdict);
  if (failures > 0)
    return "This host cannot run containers in VMs yet: see \"fail\" above (" +
           std::to_string(failures) + ").";
  return "This host can run containers in VMs" +
         (warnings > 0 ? "; see \"warn\" above (" + std::to_string(warnings) + ")."
                       : std::string("."));
}

std::string format_text(const std::vector<Finding>& findings) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.check.size());
  std::string text;
  for (const Finding& finding : findings) {
    text += std::string(word(finding.verdict)) + "  " + finding.check +
            std::string(width - finding.check.size() + 2, ' ') + finding.text + "\n";
    if (!finding.advice.empty())
      text += std::string(width + 8, ' ') + "-> " + finding.advice + "\n";
  }
  return text + conclude(findings) + "\n";
}

std::string format_json(const std::vector<Finding>& findings) {
  auto checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json one{
        {"check", finding.check}, {"result", word(finding.verdict)}, {"text", finding.text}};
    if (!finding.advice.empty()) one["advice"] = finding.advice;
    checks.push_back(std::move(one));
  }
  const nlohmann::ordered_json all{{"version", HUSK_VERSION},
                                   {"result", word(check::worst(findings))},
                                   {"checks", std::move(checks)}};
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

void add_check(CLI::App& app, const GlobalOptions& options, int& status) {
  CLI::App* const command =
      app.add_subcommand("check", "check whether this host can run containers in VMs");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print the findings as JSON");
  command->callback([json, &options, &status] {
    const std::vector<Finding> findings = check::judge(check::look_at_host(config_file(options)));
    print(*json ? format_json(findings) : format_text(findings));
    if (check::worst(findings) == Verdict::fail) status = 1;
  });
}

}  // namespace husk::cli
