// SPDX-License-Identifier: GPL-2.0
/* kvm-probe - print "kvm" when KVM can be used here, else "tcg (why not)" */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * /dev/kvm that opens is not enough: a nested host can offer one whose CPU has
 * neither vmx nor svm and which runs ordinary guests far slower than TCG, or
 * not at all.
 */
int main(void)
{
	char line[8192];
	bool virt = false;
	FILE *f;
	int fd;

	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT)
			puts("tcg (no /dev/kvm)");
		else
			printf("tcg (/dev/kvm: %s)\n", strerror(errno));
		return 0;
	}
	f = fopen("/proc/cpuinfo", "r");
	while (f && !virt && fgets(line, sizeof(line), f))
		virt = !strncmp(line, "flags", 5) &&
		       (strstr(line, " vmx") || strstr(line, " svm"));
	if (f)
		fclose(f);
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		puts("tcg (/dev/kvm speaks another version)");
	else if (ioctl(fd, KVM_CREATE_VM, 0) < 0)
		printf("tcg (/dev/kvm: no machine: %s)\n", strerror(errno));
	else if (!virt)
		puts("tcg (no usable KVM: no vmx or svm in /proc/cpuinfo)");
	else
		puts("kvm");
	return 0;
}
