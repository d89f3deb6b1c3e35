// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <ranges>
#include <utility>
#include <vector>

namespace husk {

/// The steps of a command that undoes itself: owns objects of which each takes back on destruction what
/// it did, unless kept. Destroys them newest first.
class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    while (!steps_.empty()) steps_.pop_back();
  }

  /// Owns the object that `make()` returns, which need not be movable. The reference is good as long as
  /// this is.
  template <class Make>
  auto& own(Make&& make) {
    using Object = std::invoke_result_t<Make>;
    steps_.reserve(steps_.size() + 1);
    auto step = std::make_unique<Step<Object>>(std::forward<Make>(make));
    Object& object = step->object;
    steps_.push_back(std::move(step));
    return object;
  }

  /// The command has succeeded: calls keep() of each, newest first.
  void keep_all() noexcept {
    for (const auto& step : steps_ | std::views::reverse) step->keep();
  }

 private:
  struct AnyStep {
    AnyStep() = default;
    AnyStep(const AnyStep&) = delete;
    AnyStep& operator=(const AnyStep&) = delete;
    virtual ~AnyStep() = default;
    virtual void keep() noexcept = 0;
  };
  template <class Object>
  struct Step final : AnyStep {
    template <class Make>
    explicit Step(Make&& make) : object(std::forward<Make>(make)()) {}
    void keep() noexcept override { object.keep(); }
    Object object;
  };

  std::vector<std::unique_ptr<AnyStep>> steps_;
};

}  // namespace husk
