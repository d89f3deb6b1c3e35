// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/error.hpp"
#include "lib/oci/spec.hpp"

namespace husk::oci::test {

/// The text of test/bundles/<name>: a config.json as an engine writes it.
std::string engine_config(const std::string& name);

/// A spec in which every field that there is has a value, none of them the default.
Spec full_spec();

/// A directory that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Failure {
  Errc code{};
  std::string text;
};
/// What `f` throws; fails the test if it throws nothing, or something else than Error.
Failure failure_of(const std::function<void()>& f);

}  // namespace husk::oci::test
