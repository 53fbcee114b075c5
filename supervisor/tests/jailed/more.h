/*
 * More attacks, most of them one system call: part of attack.c. Each is in a form that can do no damage where it succeeds: arguments that name nothing, signal 0, or
 * what happens to the plugin's own process alone.
 */
#include <alloca.h>
#include <stdint.h>

#define CALL(name, ...) static long name(void) { return result(syscall(__VA_ARGS__)); }
#define NOWHERE "/croupier-there-is-no-such-file"

/* Files and the tree of them. */
CALL(access_file, SYS_access, "/etc/passwd", 4)
CALL(faccess_file, SYS_faccessat, AT_FDCWD, "/etc/passwd", 4, 0)
CALL(working_directory, SYS_getcwd, page, 4096)
CALL(rename_file, SYS_rename, NOWHERE, NOWHERE "2")
CALL(remove_directory, SYS_rmdir, NOWHERE)
CALL(link_file, SYS_link, NOWHERE, NOWHERE "2")
CALL(symlink_file, SYS_symlink, "x", "/proc/croupier-hostile")
CALL(make_node, SYS_mknod, "/proc/croupier-hostile", 0010600, 0)
CALL(change_mode, SYS_chmod, NOWHERE, 0777)
CALL(change_owner, SYS_chown, NOWHERE, 0, 0)
CALL(truncate_file, SYS_truncate, NOWHERE, 0)
CALL(change_times, SYS_utimensat, AT_FDCWD, NOWHERE, 0, 0)
CALL(set_attribute, SYS_setxattr, NOWHERE, "user.x", "y", 1, 0)
CALL(file_system, SYS_statfs, "/", page)
CALL(file_handle, SYS_name_to_handle_at, AT_FDCWD, "/", page, page + 512, 0)
CALL(watch_tree, SYS_fanotify_init, 0, 0)
CALL(pivot, SYS_pivot_root, NOWHERE, NOWHERE)
CALL(unmount, SYS_umount2, NOWHERE, 0)
CALL(new_file_system, SYS_fsopen, "tmpfs", 0)
CALL(move_mount_point, SYS_move_mount, -1, "", -1, "", 0)
CALL(mount_attributes, SYS_mount_setattr, -1, NOWHERE, 0, page, 32)
CALL(swap_on, SYS_swapon, NOWHERE, 0)
CALL(account, SYS_acct, NOWHERE)
CALL(file_quota, SYS_quotactl, 0, 0, 0, 0)
CALL(sync_all, SYS_syncfs, 1)
CALL(lock_file, SYS_flock, 1, 8)
CALL(allocate_file, SYS_fallocate, 1, 0, 0, 1)
CALL(change_creation_mask, SYS_umask, 077)

/* Descriptors and what is behind them. */
CALL(dup3_over_link, SYS_dup3, 1, 3, 0)
CALL(dup2_over_link, SYS_dup2, 1, 3)
CALL(dup2_over_input, SYS_dup2, 1, 0)
CALL(close_many, SYS_close_range, 100, ~0u, 0)
CALL(link_signals, SYS_fcntl, 3, 8 /* F_SETOWN */, 1)
CALL(link_flags, SYS_fcntl, 3, F_GETFL, 0)
CALL(pipe_size, SYS_fcntl, 1, 1032 /* F_GETPIPE_SZ */, 0)
CALL(bind_link, SYS_bind, 3, page, 2)
CALL(listen_link, SYS_listen, 3, 1)
CALL(accept_link, SYS_accept4, 3, 0, 0, 0)
CALL(name_link, SYS_getsockname, 3, page, page + 512)
CALL(peer_of_link, SYS_getpeername, 3, page, page + 512)
CALL(link_option, SYS_setsockopt, 3, 1, 7, page, 4)
CALL(link_credentials, SYS_getsockopt, 3, 1, 17, page, page + 512)
CALL(shut_link, SYS_shutdown, 3, 7)
CALL(send_many, SYS_sendmmsg, 3, page, 0, 0)
CALL(receive_many, SYS_recvmmsg, 3, page, 0, 0x40, 0)
CALL(receive_descriptors, SYS_recvmsg, 3, page, 0x40)
CALL(write_at, SYS_pwrite64, 3, "x", 1, 0)
CALL(splice_link, SYS_splice, 3, 0, 1, 0, 0, 0)
CALL(tee_pipes, SYS_tee, 1, 2, 0, 0)
CALL(give_pages, SYS_vmsplice, 1, page, 0, 0)
CALL(send_file, SYS_sendfile, 1, 0, 0, 0)
CALL(copy_range, SYS_copy_file_range, 0, 0, 1, 0, 0, 0)
CALL(signal_descriptor, SYS_signalfd4, -1, page, 8, 0)
CALL(timer_descriptor, SYS_timerfd_create, 0, 0)
CALL(select_link, SYS_select, 0, 0, 0, 0, page)
CALL(wait_for_events, SYS_epoll_wait, -1, page, 1, 0)

/* Processes, signals, clocks. */
CALL(signal_group, SYS_kill, 0, 0)
CALL(signal_first, SYS_kill, 1, 0)
CALL(signal_by_descriptor, SYS_pidfd_send_signal, -1, 0, 0, 0)
static long thread_signal(void) { int info[32] = { 0, 0, -1 }; return result(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 0, info)); }
CALL(wait_for_others, SYS_wait4, -1, 0, 1, 0)
CALL(wait_by_id, SYS_waitid, 0, 0, 0, 5, 0)
CALL(who_is_parent, SYS_getppid)
CALL(group_of_others, SYS_getpgid, 0)
CALL(set_user, SYS_setuid, 0)
CALL(set_group, SYS_setgid, 0)
CALL(set_file_user, SYS_setfsuid, 0)
CALL(keep_capabilities, SYS_prctl, 8, 1, 0, 0, 0)
CALL(read_ambient, SYS_prctl, 47, 1, 0, 0, 0)
CALL(adopt_orphans, SYS_prctl, 36, 1, 0, 0, 0)
CALL(allow_tracers, SYS_prctl, 0x59616d61, -1, 0, 0, 0)
CALL(rename_thread, SYS_prctl, 15, "x", 0, 0, 0)
CALL(trap_the_clock, SYS_prctl, 26, 1, 0, 0, 0)
CALL(move_memory_map, SYS_prctl, 35, 15, page, 0, 0)
CALL(filter_by_prctl, SYS_prctl, 22, 2, 0, 0, 0)
CALL(user_dispatch, SYS_prctl, 59, 0, 0, 0, 0)
CALL(segment_base, SYS_arch_prctl, 0x1004, page)
CALL(forbid_cpuid, SYS_arch_prctl, 0x1012, 1)
CALL(restartable, SYS_rseq, page, 32, 0, 0)
CALL(robust_list_of_others, SYS_get_robust_list, 1, page, page + 8)
CALL(own_robust_list, SYS_set_robust_list, page, 24)
CALL(barrier, SYS_membarrier, 0, 0, 0)
CALL(wait_for_many, SYS_futex_waitv, page, 0, 0, 0, 0)
CALL(choose_cpu, SYS_sched_setaffinity, 0, 8, "\377\377\377\377\377\377\377\377")
CALL(real_time, SYS_sched_setscheduler, 0, 1, "\1\0\0\0")
CALL(schedule_by_attributes, SYS_sched_setattr, 0, page, 0)
CALL(input_output_priority, SYS_ioprio_set, 1, 0, 0)
CALL(alarm_clock, SYS_alarm, 0)
CALL(interval_timer, SYS_setitimer, 0, page, 0)
CALL(adjust_clock, SYS_adjtimex, page)
CALL(set_day, SYS_settimeofday, 0, 0)
CALL(used_by_others, SYS_getrusage, -1, page)
CALL(system_at_a_glance, SYS_sysinfo, page)
CALL(system_name, SYS_uname, page)
CALL(domain_name, SYS_setdomainname, "x", 0)
CALL(hang_up_terminal, SYS_vhangup)

/* Memory of one's own and of others. */
CALL(lock_everything, SYS_mlockall, 1)
CALL(what_is_resident, SYS_mincore, page, 4096, page + 4096)
CALL(advise_others, SYS_process_madvise, -1, page, 0, 0, 0)
CALL(release_others, SYS_process_mrelease, -1, 0)
CALL(bind_memory, SYS_mbind, page, 4096, 0, 0, 0, 0)
CALL(migrate_others, SYS_migrate_pages, 1, 0, page, page)
CALL(move_pages_of_others, SYS_move_pages, 1, 0, 0, 0, 0, 0)
CALL(memory_policy, SYS_set_mempolicy, 0, 0, 0)
CALL(protection_key, SYS_pkey_alloc, 0, 0)
CALL(open_queue, SYS_mq_open, "croupier-hostile", O_CREAT | O_RDWR, 0600, 0)
CALL(semaphores, SYS_semget, 0, 1, 01600)
CALL(attach_segment, SYS_shmat, -1, 0, 0)

/* Kernel interfaces. */
CALL(start_aio, SYS_io_setup, 1, page)
CALL(enter_uring, SYS_io_uring_enter, -1, 0, 0, 0, 0, 0)
CALL(register_uring, SYS_io_uring_register, -1, 0, 0, 0)
CALL(request_a_key, SYS_request_key, "user", "croupier-x", 0, 0)
CALL(own_landlock, SYS_landlock_create_ruleset, 0, 0, 1)
CALL(load_kernel, SYS_kexec_load, 0, 0, 0, ~0ul)
CALL(unload_module, SYS_delete_module, "croupier_no_such_module", 0)
CALL(load_module_file, SYS_finit_module, -1, "", 0)
CALL(raw_ports, SYS_iopl, 3)
CALL(some_ports, SYS_ioperm, 0x80, 1, 1)

/* Memory-mapped tricks that no call stops, and that come to nothing. */
static long rewrite_code(void)
{
    void *code = (void *)((uintptr_t)&open_file & ~4095ul);
    if (mprotect(code, 4096, PROT_READ | PROT_WRITE) != 0) return -errno;
    return open_file();
}
static long unmap_everything(void) { return result(syscall(SYS_munmap, 4096, 0x7ffffffff000ul - 8192)); }
static long move_code(void)
{
    void *code = (void *)((uintptr_t)&open_file & ~4095ul);
    void *moved = mremap(code, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page);
    /* Where it was is nothing now. */
    return moved == MAP_FAILED ? -errno : open_file();
}
static long stack_clash(void)
{
    volatile char *far_below = (volatile char *)__builtin_frame_address(0) - (64 << 20);
    *far_below = 1;
    return 0;
}
static long bad_signal_stack(void)
{
    stack_t nowhere_to_go = { .ss_sp = (void *)4096, .ss_size = 65536 };
    if (sigaltstack(&nowhere_to_go, 0) != 0) return -errno;
    return recurse(0);
}
static long blocked_fault(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    *nowhere = 1;
    return 0;
}
static long unaligned_jump(void) { ((void (*)(void))(uintptr_t)12345)(); return 0; }
static long kernel_read(void) { return *(volatile long *)0xffffffff81000000ul; }
static long vsyscall_page(void) { return ((long (*)(void *, void *))0xffffffffff600000ul)(page, 0); }
static long privileged(void) { __asm__ volatile("hlt"); return 0; }
static long port_write(void) { __asm__ volatile("outb %%al, $0x80" : : "a"(0)); return 0; }

/* Frames of one's own on the link. */
static long frame(uint8_t kind, uint64_t call, const void *body, uint32_t bytes)
{
    uint8_t f[512] = { 0 };
    uint32_t len = 16 + bytes;
    memcpy(f, &len, 4);
    f[4] = kind;
    f[6] = 1;
    memcpy(f + 8, &call, 8);
    memcpy(f + 16, body, bytes);
    return say(f, len);
}
enum { HANDSHAKE = 0x51, DATA = 0x52, CONTROL = 0x53, FAILURE = 0x54 };
static long forge_answer(void) { return frame(CONTROL, 1000000, "\1", 1); }
static long replay_old_call(void) { return frame(CONTROL, 1, "\1", 1); }
static long wrong_kind(void) { return frame(DATA, 0, "\1", 1); }
static long forged_done(void) { return frame(DATA, 1, "\3\0\0\0\0\0\0\0", 8); }
static long welcome_twice(void) { return frame(HANDSHAKE, 0, "\0\1\0\0\0", 5); }
static long speak_as_supervisor(void) { return frame(CONTROL, 7, "\12", 1); }
static long call_of_nobody(void) { return frame(DATA, 1000000, "\5\0\4echo\0", 8); }
static long refusal_of_nobody(void) { return frame(DATA, 1000000, "\10\4send\1", 7); }
static long forged_last_words(void) { return frame(FAILURE, 0, "\7\7\12not my own", 13); }
static long confine_again(void) { return frame(HANDSHAKE, 0, "\37\7\1", 3); }
static long length_bomb(void) { return say("\377\377\377\177\122\0\1\0\0\0\0\0\0\0\0\0", 16); }
static long short_frame(void) { return say("\1\0\0\0\122\0\1\0\0\0\0\0\0\0\0\0", 16); }
static long claim_bomb(void) { return frame(CONTROL, 0, "\6\1\375\377\377\377\377\377\377\377\377", 11); }
static long other_version(void) { return say("\20\0\0\0\122\0\377\377\0\0\0\0\0\0\0\0", 16); }
static long link_as_output(void)
{
    long r = result(dup2(3, 1));
    if (r < 0) return r;
    puts("all that I print is a frame now, is it not?");
    return result(fflush(stdout));
}
static long log_frames_for_ever(void)
{
    /* A line of 400 bytes: 251 stands before a length of two bytes. */
    uint8_t body[5 + 400] = { 6, 1, 251, 144, 1 };
    memset(body + 5, 'x', 400);
    uint8_t f[16 + sizeof body] = { sizeof f & 0xff, sizeof f >> 8, 0, 0, CONTROL, 0, 1 };
    memcpy(f + 16, body, sizeof body);
    patient = 0;
    for (;;)
        if (push(f, sizeof f) < 0) return -errno;
}

/* Honest log lines, but 24 MB of them in one turn. */
static long log_a_lot(void)
{
    static uint8_t f[16 + 5 + 60000];
    uint32_t len = sizeof f;
    const uint8_t head[5] = { 6, 1, 251, 0x60, 0xea };
    memcpy(f, &len, 4);
    f[4] = CONTROL;
    f[6] = 1;
    memcpy(f + 16, head, 5);
    memset(f + 21, 'x', 60000);
    for (int i = 0; i < 400; i++) {
        long r = push(f, sizeof f);
        if (r < 0) return r;
    }
    wait_until_taken();
    return 0;
}

/* From threads. */
static void *babble_later(void *x) { usleep(1000); babble(); return x; }
static long babble_from_a_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, 0, babble_later, 0);
    if (r == 0) pthread_join(t, 0);
    usleep(20000);
    return -r;
}
static void *stay(void *x) { for (;;) usleep(1000); return x; }
static long leave_a_thread(void)
{
    pthread_t t;
    return -pthread_create(&t, 0, stay, 0);
}

#define MORE_ATTACKS \
    A(babble_from_a_thread), A(leave_a_thread), \
    A(access_file), A(faccess_file), A(working_directory), A(rename_file), A(remove_directory), A(link_file), A(symlink_file), A(make_node), \
    A(change_mode), A(change_owner), A(truncate_file), A(change_times), A(set_attribute), A(file_system), A(file_handle), A(watch_tree), A(pivot), \
    A(unmount), A(new_file_system), A(move_mount_point), A(mount_attributes), A(swap_on), A(account), A(file_quota), A(sync_all), A(lock_file), \
    A(allocate_file), A(change_creation_mask), A(dup3_over_link), A(dup2_over_link), A(dup2_over_input), A(close_many), A(link_signals), \
    A(link_flags), A(pipe_size), A(bind_link), A(listen_link), A(accept_link), A(name_link), A(peer_of_link), A(link_option), A(link_credentials), \
    A(shut_link), A(send_many), A(receive_many), A(receive_descriptors), A(write_at), A(splice_link), A(tee_pipes), A(give_pages), A(send_file), \
    A(copy_range), A(signal_descriptor), A(timer_descriptor), A(select_link), A(wait_for_events), A(signal_group), A(signal_first), \
    A(signal_by_descriptor), A(thread_signal), A(wait_for_others), A(wait_by_id), A(who_is_parent), A(group_of_others), A(set_user), A(set_group), \
    A(set_file_user), A(keep_capabilities), A(read_ambient), A(adopt_orphans), A(allow_tracers), A(rename_thread), A(trap_the_clock), \
    A(move_memory_map), A(filter_by_prctl), A(user_dispatch), A(segment_base), A(forbid_cpuid), A(restartable), A(robust_list_of_others), \
    A(own_robust_list), A(barrier), A(wait_for_many), A(choose_cpu), A(real_time), A(schedule_by_attributes), A(input_output_priority), \
    A(alarm_clock), A(interval_timer), A(adjust_clock), A(set_day), A(used_by_others), A(system_at_a_glance), A(system_name), A(domain_name), \
    A(hang_up_terminal), A(lock_everything), A(what_is_resident), A(advise_others), A(release_others), A(bind_memory), A(migrate_others), \
    A(move_pages_of_others), A(memory_policy), A(protection_key), A(open_queue), A(semaphores), A(attach_segment), A(start_aio), A(enter_uring), \
    A(register_uring), A(request_a_key), A(own_landlock), A(load_kernel), A(unload_module), A(load_module_file), A(raw_ports), A(some_ports), \
    A(rewrite_code), A(unmap_everything), A(move_code), A(stack_clash), A(bad_signal_stack), A(blocked_fault), A(unaligned_jump), A(kernel_read), \
    A(vsyscall_page), A(privileged), A(port_write), A(forge_answer), A(replay_old_call), A(wrong_kind), A(forged_done), A(welcome_twice), \
    A(speak_as_supervisor), A(call_of_nobody), A(refusal_of_nobody), A(forged_last_words), A(confine_again), A(length_bomb), A(short_frame), \
    A(claim_bomb), A(other_version), A(link_as_output), A(log_frames_for_ever), A(log_a_lot)
