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

/// A connection that the host makes to `port`.
static int accept_from_host(unsigned port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
  const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1)) {
    return -1;
  }
  puts("listening");
  fflush(stdout);
  return accept(listener, NULL, NULL);
}

static char buffer[64 << 10];
static size_t part(long bytes) { return bytes < (long)sizeof buffer ? (size_t)bytes : sizeof buffer; }

/// Takes so many bytes, then says that it has them.
static int drain(int from, int to, long bytes) {
  while (bytes > 0) {
    const ssize_t n = read(from, buffer, part(bytes));
    if (n <= 0) return fail("read");
    bytes -= n;
  }
  return write(to, "d", 1) != 1;
}

static int pour(int to, long bytes) {
  while (bytes > 0) {
    const ssize_t n = write(to, buffer, part(bytes));
    if (n <= 0) return fail("write");
    bytes -= n;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 3 && strcmp(argv[1], "spawn") == 0) return spawn(atoi(argv[2]), argv + 3);
  const int drains = argc > 2 && strcmp(argv[1], "drain") == 0;
  if (drains || (argc > 2 && strcmp(argv[1], "pour") == 0)) {
    const long bytes = atol(argv[2]);
    if (argc == 3) return drains ? drain(0, 1, bytes) : pour(1, bytes);
    const int host = accept_from_host((unsigned)atoi(argv[3]));
    if (host < 0) return fail("accept");
    if (drains) return drain(host, host, bytes);
    return pour(host, bytes) || read(host, buffer, 1) < 0;  // until it has all
  }
  fputs("usage: in_guest spawn COUNT COMMAND... | drain BYTES [PORT] | pour BYTES [PORT]\n", stderr);
  return 2;
}
