// SPDX-License-Identifier: Apache-2.0
#include "lib/base/undo.hpp"

#include <catch2/catch_test_macros.hpp>
#include <stdexcept>
#include <string>

using namespace husk;

namespace {

/// Writes its letter down when destroyed without having been kept.
class Letter {
 public:
  Letter(char letter, std::string& undone) : letter_(letter), undone_(undone) {}
  Letter(const Letter&) = delete;
  Letter& operator=(const Letter&) = delete;
  ~Letter() {
    if (!kept_) undone_ += letter_;
  }
  void keep() noexcept { kept_ = true; }

 private:
  char letter_;
  std::string& undone_;
  bool kept_ = false;
};

}  // namespace

TEST_CASE("Undo: undoes the steps, newest first, unless all are kept", "[base]") {
  std::string undone;
  {
    Undo undo;
    for (const char letter : {'a', 'b', 'c'}) undo.own([&] { return Letter(letter, undone); });
  }
  CHECK(undone == "cba");
  {
    Undo undo;
    undo.own([&] { return Letter('d', undone); });
    undo.keep_all();
    undo.own([&] { return Letter('e', undone); });
  }
  CHECK(undone == "cbae");
}

TEST_CASE("Undo: a step that fails leaves the ones before to be undone", "[base]") {
  std::string undone;
  try {
    Undo undo;
    undo.own([&] { return Letter('a', undone); });
    undo.own([]() -> Letter { throw std::runtime_error("no"); });
  } catch (const std::runtime_error&) {
    undone += '!';
  }
  CHECK(undone == "a!");
}
