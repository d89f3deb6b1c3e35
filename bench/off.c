// SPDX-License-Identifier: Apache-2.0
// The shortest /init there is: the bare boot that `husk run` is compared with.
#include <sys/reboot.h>
#include <unistd.h>

int main(void) {
  reboot(RB_POWER_OFF);
  for (;;) pause();
}
