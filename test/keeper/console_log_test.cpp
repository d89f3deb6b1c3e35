// SPDX-License-Identifier: Apache-2.0
#include "keeper/console_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/process.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::keeper;
using namespace std::chrono_literals;

namespace {

struct ConsoleFiles {
  ConsoleFiles() { check_sys(::mkfifo(fifo.c_str(), 0600), "mkfifo"); }
  UniqueFd open_fifo() const {
    return UniqueFd{check_sys(::open(fifo.c_str(), O_RDWR | O_CLOEXEC), "open")};
  }
  UniqueFd open_log() const {
    return UniqueFd{check_sys(::open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open")};
  }
  std::string text() const { return read_file(log, 2 * max_console_log_bytes); }
  /// Waits until the log ends so, and returns it.
  std::string text_ending(const std::string& end) const {
    const Deadline deadline(10s);
    while (!text().ends_with(end) && !deadline.passed()) std::this_thread::sleep_for(2ms);
    return text();
  }
  test::Scratch scratch;
  std::string fifo = scratch.path() / "fifo", log = scratch.path() / "log";
};

}  // namespace

TEST_CASE("console log: has what comes out of the FIFO, whoever writes and goes", "[keeper]") {
  const ConsoleFiles files;
  const ConsoleLog console(files.open_fifo(), files.open_log());
  for (const char* line : {"one\n", "two\n"}) {
    const UniqueFd writer{::open(files.fifo.c_str(), O_WRONLY | O_CLOEXEC)};
    write_all(writer.get(), line);
  }
  CHECK(files.text_ending("two\n") == "one\ntwo\n");
}

TEST_CASE("console log: what was in the file stays", "[keeper]") {
  const ConsoleFiles files;
  write_file_atomic(files.log, "before\n", 0600);
  const ConsoleLog console(files.open_fifo(), files.open_log());
  write_all(files.open_fifo().get(), "after\n");
  CHECK(files.text_ending("after\n") == "before\nafter\n");
}

TEST_CASE("console log: a guest that writes without end leaves its last words, and no more",
          "[keeper]") {
  const ConsoleFiles files;
  const ConsoleLog console(files.open_fifo(), files.open_log());
  const UniqueFd writer{::open(files.fifo.c_str(), O_WRONLY | O_CLOEXEC)};
  std::string sent;
  for (int line = 0; sent.size() < 5 * max_console_log_bytes; ++line)
    sent += "line " + std::to_string(line) + "\n";
  write_all(writer.get(), sent);
  write_all(writer.get(), "the end\n");
  const std::string text = files.text_ending("the end\n");
  CHECK(text.size() <= max_console_log_bytes);
  CHECK(text.size() >= max_console_log_bytes / 2);
  CHECK((sent + "the end\n").ends_with(text));
}

TEST_CASE("console log: its process ends with the object", "[keeper]") {
  const ConsoleFiles files;
  std::vector<ProcessIdentity> children;
  {
    const ConsoleLog console(files.open_fifo(), files.open_log());
    children = children_of(identify_process(::getpid()).value());
    CHECK(children.size() == 1);
  }
  for (const ProcessIdentity& child : children) CHECK_FALSE(is_alive(child));
}
