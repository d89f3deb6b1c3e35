// SPDX-License-Identifier: Apache-2.0
// What bench/exec runs inside a container: the guest's own cost of a process, and a bare vsock connection.
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(const char* doing) {
  perror(doing);
  return 1;
}

/// Prints the milliseconds that one fork, exec and end of `command` takes.
static int spawn(int count, char** command) {
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 0; i < count; i++) {
    const pid_t child = fork();
    if (child < 0) return fail("fork");
    if (child == 0) {
      execv(command[0], command);
      _exit(127);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) return fail(command[0]);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  const double nanoseconds = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
  printf("%.2f\n", nanoseconds / 1e6 / count);
  return 0;
}

/// Sends back everything that its first caller sends.
static int echo(unsigned port) {
  static char buffer[64 << 10];
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
  const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1)) {
    return fail("listen");
  }
  puts("listening");
  fflush(stdout);
  const int caller = accept(listener, NULL, NULL);
  for (ssize_t got; (got = read(caller, buffer, sizeof buffer)) > 0;) {
    for (ssize_t put = 0, n; put < got; put += n) {
      if ((n = write(caller, buffer + put, (size_t)(got - put))) < 0) return fail("write");
    }
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 3 && strcmp(argv[1], "spawn") == 0) return spawn(atoi(argv[2]), argv + 3);
  if (argc == 3 && strcmp(argv[1], "echo") == 0) return echo((unsigned)atoi(argv[2]));
  fputs("usage: in_guest spawn COUNT COMMAND... | in_guest echo PORT\n", stderr);
  return 2;
}
