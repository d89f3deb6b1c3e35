// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/bundle.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

#include "lib/oci/example.hpp"
#include "test/lib/oci/fixtures.hpp"

namespace husk::oci::test {

namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

class TestBundle {
 public:
  TestBundle() {
    fs::create_directory(path() / "rootfs");
    write(config(), nlohmann::json(example_spec(false, 0, 0)).dump());
  }
  const fs::path& path() const { return directory_.path(); }
  fs::path config() const { return path() / "config.json"; }
  Failure load_failure() const {
    const auto begin = std::chrono::steady_clock::now();
    Failure failure = failure_of([&] { (void)load_bundle(path()); });
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
    CHECK(failure.code == Errc::invalid_argument);
    return failure;
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("bundle: a good one is loaded, with absolute paths", "[oci]") {
  const TestBundle bundle;
  const Bundle loaded = load_bundle(bundle.path());
  CHECK(loaded.directory == fs::canonical(bundle.path()));
  CHECK(loaded.rootfs == fs::canonical(bundle.path()) / "rootfs");
  CHECK(loaded.spec == example_spec(false, 0, 0));
}

TEST_CASE("bundle: root.path may be absolute, config.json a link", "[oci]") {
  const TestBundle bundle;
  Spec spec = example_spec(false, 0, 0);
  spec.root->path = "/usr/../usr";
  write(bundle.path() / "elsewhere.json", nlohmann::json(spec).dump());
  fs::remove(bundle.config());
  fs::create_symlink("elsewhere.json", bundle.config());
  CHECK(load_bundle(bundle.path()).rootfs == "/usr");
}

TEST_CASE("bundle: what is missing is named", "[oci]") {
  const TestBundle bundle;
  CHECK(failure_of([&] { (void)load_bundle(bundle.path() / "none"); }).text ==
        "bundle " + (bundle.path() / "none").string() + ": no such file or directory");
  CHECK(failure_of([&] { (void)load_bundle(bundle.config()); }).text ==
        "bundle " + bundle.config().string() + ": not a directory");

  fs::remove(bundle.path() / "rootfs");
  CHECK(bundle.load_failure().text ==
        "rootfs " + (bundle.path() / "rootfs").string() + ": no such file or directory");
  write(bundle.path() / "rootfs", "");
  CHECK(bundle.load_failure().text ==
        "rootfs " + (bundle.path() / "rootfs").string() + ": not a directory");

  fs::remove(bundle.config());
  CHECK(bundle.load_failure().text == "JSON specification file config.json not found");
}

TEST_CASE("bundle: a config.json that is no regular file is refused at once", "[oci]") {
  const TestBundle bundle;
  fs::remove(bundle.config());
  SECTION("a pipe that nobody writes to") { REQUIRE(::mkfifo(bundle.config().c_str(), 0600) == 0); }
  SECTION("a directory") { fs::create_directory(bundle.config()); }
  SECTION("a device that never ends") { fs::create_symlink("/dev/zero", bundle.config()); }
  CHECK(bundle.load_failure().text == bundle.config().string() + ": not a regular file");
}

TEST_CASE("bundle: a link that leads round in a circle is an error", "[oci]") {
  const TestBundle bundle;
  fs::remove(bundle.config());
  fs::create_symlink("config.json", bundle.config());
  CHECK(failure_of([&] { (void)load_bundle(bundle.path()); }).text.starts_with("open "));
}

TEST_CASE("bundle: a config.json above the limit is refused, one at the limit is read", "[oci]") {
  const TestBundle bundle;
  std::string text = nlohmann::json(example_spec(false, 0, 0)).dump();
  text.resize(max_config_bytes, ' ');
  write(bundle.config(), text);
  CHECK_NOTHROW(load_bundle(bundle.path()));
  for (const std::size_t size : {max_config_bytes + 1, std::size_t{10} << 20}) {
    text.resize(size, ' ');
    write(bundle.config(), text);
    CHECK(bundle.load_failure().text == bundle.config().string() + ": larger than 8388608 bytes");
  }
}

TEST_CASE("bundle: texts about the content say that it is config.json's", "[oci]") {
  const TestBundle bundle;
  write(bundle.config(), R"({"ociVersion": "1.0.0", "process": {"cwd": 5}})");
  CHECK(bundle.load_failure().text ==
        "config.json: process.cwd: expected a string, found a number 5");
  write(bundle.config(), "");
  CHECK(bundle.load_failure().text.starts_with("config.json: malformed JSON at byte 1: "));
  write(bundle.config(), R"({"ociVersion": "3.0.0", "root": {"path": "rootfs"}})");
  CHECK(bundle.load_failure().text ==
        "config.json: ociVersion: unknown version \"3.0.0\", expected 1.x");
}

}  // namespace husk::oci::test
