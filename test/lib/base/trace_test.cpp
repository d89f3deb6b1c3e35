// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trace.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <vector>

using namespace husk;

namespace {

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const TraceSpan& span : take_trace()) found.push_back(span.name);
  return found;
}

struct Tracing {
  explicit Tracing(std::size_t max_spans) { start_trace(max_spans); }
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;
  ~Tracing() { start_trace(0); }
};

void in_child(const std::function<void()>& record) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    trace_as_child();
    record();
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(status == 0);
}

}  // namespace

TEST_CASE("trace: nothing is recorded before it is started", "[base]") {
  traced("too early", [] {});
  CHECK_FALSE(is_tracing());
  CHECK(names().empty());
}

TEST_CASE("trace: spans lie inside each other, in the order of their ends", "[base]") {
  const Tracing tracing(10);
  CHECK(traced("outer", [] { return traced("inner", [] { return 42; }); }) == 42);
  const std::deque<TraceSpan> spans = take_trace();
  REQUIRE(spans.size() == 2);
  const TraceSpan &inner = spans[0], &outer = spans[1];
  CHECK(inner.name == "inner");
  CHECK(outer.name == "outer");
  CHECK(trace_begin() <= outer.begin);
  CHECK(outer.begin <= inner.begin);
  CHECK(inner.begin <= inner.end);
  CHECK(inner.end <= outer.end);
  CHECK_FALSE(inner.in_guest);
  CHECK(names().empty());
}

TEST_CASE("trace: a lap begins where the one before ended", "[base]") {
  const Tracing tracing(10);
  Laps laps;
  laps.end("one");
  laps.end("two");
  const std::deque<TraceSpan> spans = take_trace();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].name == "one");
  CHECK(spans[1].name == "two");
  CHECK(spans[0].end <= spans[1].begin);
}

TEST_CASE("trace: the newest spans are kept", "[base]") {
  const Tracing tracing(2);
  for (const char* name : {"one", "two", "three"}) traced(name, [] {});
  CHECK(names() == std::vector<std::string>{"two", "three"});
}

TEST_CASE("trace: what a child records is its parent's", "[base]") {
  const Tracing tracing(2 * max_child_spans);
  share_trace_with_children();
  const std::string long_name(2 * max_child_name, 'n');
  in_child([&] {
    traced("in the child", [] {});
    traced(long_name, [] {});
  });
  traced("here", [] {});
  const std::deque<TraceSpan> spans = take_trace();
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].name == "here");
  CHECK(spans[1].name == "in the child");
  CHECK(trace_begin() <= spans[1].begin);
  CHECK(spans[1].end <= spans[0].begin);
  CHECK(spans[2].name == long_name.substr(0, max_child_name));
  CHECK(names().empty());
  SECTION("the newest that there is room for, and again afterwards") {
    in_child([] {
      traced("too old", [] {});
      for (std::size_t i = 0; i < max_child_spans / 2; ++i) traced("old and of a long name", [] {});
      for (std::size_t i = 0; i < max_child_spans; ++i) traced("new", [] {});
    });
    CHECK(names() == std::vector<std::string>(max_child_spans, "new"));
    in_child([] { traced("few", [] {}); });
    CHECK(names() == std::vector<std::string>{"few"});
  }
  SECTION("a child that does not say so records for itself") {
    const pid_t pid = ::fork();
    if (pid == 0) {
      traced("own", [] {});
      ::_exit(names() == std::vector<std::string>{"own"} ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
    CHECK(names().empty());
  }
}
