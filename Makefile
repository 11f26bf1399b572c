# SPDX-License-Identifier: GPL-2.0
# Thin: every target is one script in scripts/, which explains itself in its header.

# What a user may set, on the command line or in the environment
KERNEL	?= patched
JOB	?= shell
export O LINUX T FULL BASE ACCEL JOBS V CONFIG MINUTES ROUNDS
export SCENE KIND MB TOTAL OPTIONS TIMEOUT

S := $(CURDIR)/scripts

.PHONY: help run check soak bench kernel module vm lint doctor clean

help:
	@echo 'Targets'
	@echo '  run      the whole scene: load, offline, unplug; on both kernels (scripts/run)'
	@echo '  check    all tests in a virtual machine; T=GLOB: only these'
	@echo '  soak     all users of isolation at once for MINUTES, audited (scripts/soak)'
	@echo '  bench    exact instruction counts, base against patched'
	@echo '  kernel   build out/$$(KERNEL); KERNEL=base: the unpatched one'
	@echo '  module   build the debug module for $$(KERNEL)'
	@echo '  vm       boot $$(KERNEL) with a shell on the console'
	@echo '  lint     shellcheck and python syntax of all scripts'
	@echo '  doctor   is everything here that the others need?'
	@echo '  clean    remove out/ (keeps the source cache) and leave results/'
	@echo
	@echo 'Variables'
	@echo '  LINUX=DIR        your own Linux 7.3 tree (default: the distribution'"'"'s)'
	@echo '  O=DIR            where everything is built        (default: out)'
	@echo '  RESULTS=DIR      where results go                 (default: results)'
	@echo '  KERNEL=base|patched                               (default: patched)'
	@echo '  AGAINST=TAG      bench: what is compared with, base fixes ...  (default: base)'
	@echo '  T=GLOB           check: program, program.fixture.test or suite.case'
	@echo '  PB_NAME=VALUE    check: to the tests, as PB_ROUNDS=40'
	@echo '  JOB=NAME         vm: scripts/guest/job-NAME       (default: shell)'
	@echo '  CONFIG=NAME      soak, check, kernel, vm: a section of scripts/soak.conf; soak: or all'
	@echo '  MINUTES=N        soak, SCENE=jobs: how long (default 2); ROUNDS=N: of cma2014 (default 30)'
	@echo '  FULL=1           run: 20 tries per block instead of 5; TRIES=N: any number'
	@echo '  BASE=0           run: without the two variants on the unpatched kernel'
	@echo '  VARIANTS="..."   run: some of hotremove kernel movable'
	@echo '  PAGE_OWNER=1     run, SCENE=jobs: misses name who allocated the page (slower)'
	@echo '  TIMEOUT=S        run (5), SCENE=jobs (30): of one try; other scenes: of each machine'
	@echo '  SCENE=NAME       run: a scene of memory pressure instead (scripts/pressure.conf)'
	@echo '                   or jobs, mirror, policy, upstream, virtio (scripts/NAME)'
	@echo '  KIND=... MB=N    ... movable-only memory: base-cma base-movable hotremove cma; size'
	@echo '  TOTAL=N          ... memory of the machine in MB; OPTIONS=-f,64: of scene/pressure.c'
	@echo '                   (scripts of scenes have their own KIND= and MB=, see their headers)'
	@echo '  SMP=N            SCENE=jobs: CPUs (default 2)'
	@echo '  FAULT="JOB..."   SCENE=jobs: damage what these jobs verify: they have to find it'
	@echo '  FILES=N          SCENE=policy: how many files tar extracts'
	@echo '  ACCEL=kvm|tcg    override the choice of accelerator'
	@echo '  JOBS=N V=1       parallel jobs; show what the tools print'
	@echo
	@echo 'Exit: 0 pass, 1 test failed, 2 environment or usage, 3 guest crash or splat,'
	@echo '4 all skipped, 5 T= or SCENE= matched nothing, 124 timeout. Results: results/latest/'

run:
	@"$(S)/run"

check:
	@"$(S)/check"

soak:
	@"$(S)/soak"

bench:
	@"$(S)/bench"

kernel:
	@"$(S)/doctor" --quiet
	@"$(S)/prepare-tree"
	@"$(S)/build-kernel" "$(KERNEL)"

module: kernel
	@"$(S)/build-guest" "$(KERNEL)" shell --module-only

vm: kernel
	@"$(S)/run-vm" "$(KERNEL)" "$(JOB)" --interactive --results "$(or $(RESULTS),$(CURDIR)/results)/vm"

lint:
	@"$(S)/lint"

doctor:
	@"$(S)/doctor"

clean:
	@"$(S)/clean"
