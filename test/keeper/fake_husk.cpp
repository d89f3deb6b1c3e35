// SPDX-License-Identifier: Apache-2.0
// Stands for husk where the keeper runs `husk internal COMMAND VM_ID`. VM_ID is the test's folder.
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

int main(int argc, char** argv) {
  if (argc != 4 || argv[1] != std::string("internal")) return 2;
  const std::string command = argv[2], folder = argv[3];
  if (command == "forward-connection") std::ofstream(folder + "/forwarded") << std::cin.rdbuf();
  if (command == "follow-network" || command == "end-abandoned")
    std::ofstream(folder + "/" + command) << ::getppid();
  return 0;
}
