// SPDX-License-Identifier: Apache-2.0
// husk-ch: libvirt's ch driver runs it as a VM's <emulator>, by a link in the VM's folder (go_between.hpp).
#include "ch/go_between.hpp"

int main(int argc, char** argv) { return husk::ch::run({argv, argv + argc}); }
