// SPDX-License-Identifier: Apache-2.0
// Functions of a library that is loaded when first needed (dlopen(3)): linking a large one would
// cost every start of husk.
#pragma once

#include <dlfcn.h>

#include <string>

#include "lib/base/error.hpp"

namespace husk {

class DynamicLibrary {
 public:
  /// It stays loaded for the rest of the process. Throws unsupported `missing` where there is none.
  DynamicLibrary(const char* file, const std::string& missing)
      : file_(file), handle_(::dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw Error(Errc::unsupported, missing);
  }

  /// Throws unsupported if the library has no such function.
  template <typename Function>
  void load(const char* name, Function& function) const {
    // POSIX dlsym(3): the only way to turn an object pointer into a function pointer.
    function = reinterpret_cast<Function>(::dlsym(handle_, name));
    if (function == nullptr)
      throw Error(Errc::unsupported, file_ + " on this host is too old: it has no " + name);
  }

 private:
  std::string file_;
  void* handle_;
};

}  // namespace husk
