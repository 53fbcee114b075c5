/*
 * A plugin that tries things. An action names the attack; with -DCTOR=name it happens in a constructor instead, before the worker has said a word about the plugin.
 * An attack gives 0 or more when it succeeded, and a negative errno when it was refused. Some do not come back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "croupier_plugin.h"

#ifndef REQUEST
#define REQUEST ""
#endif
#ifndef THREADS
#define THREADS "1"
#endif
#ifndef WALL
#define WALL "1500"
#endif
#ifndef ISOLATION
#define ISOLATION ""
#endif
CROUPIER_MANIFEST("manifest = 1\nname = \"hostile\"\nversion = \"1.0.0\"\nauthors = [\"Nobody\"]\n"
                  "description = \"Attacks\"\nlicense = \"MIT\"\nstate_version = 1\n" ISOLATION
                  "[game]\ntype = \"custom\"\n[players]\nmin = 0\nmax = 4\njoin = \"optional\"\n"
                  "[permissions]\nrequest = [" REQUEST "]\n"
                  "[limits]\nmemory_mib = 16\nstack_kib = 256\nthreads = " THREADS "\ncpu_ms_per_turn = 60\nturn_wall_ms = " WALL "\nload_wall_ms = 3000\n");

static long result(long value) { return value < 0 ? -errno : value; }
static long pointer(const void *p) { return p == MAP_FAILED ? -errno : 0; }

/* Files. */
static long open_file(void) { return result(open("/etc/passwd", O_RDONLY)); }
static long create_file(void) { long r = result(open("/tmp/croupier-hostile", O_CREAT | O_WRONLY, 0600)); if (r >= 0) unlink("/tmp/croupier-hostile"); return r; }
static long open_proc(void) { return result(open("/proc/self/mem", O_RDWR)); }
static long openat2_file(void) { long how[3] = { 0, 0, 0 }; return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how)); }
static long stat_file(void) { struct stat st; return result(stat("/etc/passwd", &st)); }
static long statx_file(void) { char st[256]; return result(syscall(SYS_statx, AT_FDCWD, "/etc", 0, 0xfff, st)); }
static long list_directory(void) { char b[256]; return result(syscall(SYS_getdents64, 0, b, sizeof b)); }
static long read_link(void) { char b[64]; return result(readlink("/proc/self/exe", b, sizeof b)); }
static long unlink_file(void) { return result(unlink("/croupier-there-is-no-such-file")); }
static long make_directory(void) { long r = result(mkdir("/tmp/croupier-hostile-too", 0700)); if (r >= 0) rmdir("/tmp/croupier-hostile-too"); return r; }
static long read_secrets(void) { return result(open("/etc/shadow", O_RDONLY)); }
static long change_root(void) { return result(chroot("/")); }
static long change_directory(void) { return result(chdir("/")); }
static long mount_something(void) { return result(syscall(SYS_mount, "none", "/croupier-there-is-no-such-directory", "tmpfs", 0, 0)); }
static long open_tree(void) { return result(syscall(428, AT_FDCWD, "/", 0)); }
static long handle_at(void) { return result(syscall(SYS_open_by_handle_at, 0, "", 0)); }
static long inotify(void) { return result(syscall(SYS_inotify_init1, 0)); }

/* Network. */
static long tcp_socket(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static struct sockaddr_in discard(void) { struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) }; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK); return a; }
static long connect_loopback(void)
{
    struct sockaddr_in to = discard();
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return s < 0 ? -errno : result(connect(s, (struct sockaddr *)&to, sizeof to));
}
static long send_datagram(void)
{
    struct sockaddr_in to = discard();
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    return s < 0 ? -errno : result(sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
}
static long unix_socket(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }
static long netlink_socket(void) { return result(socket(AF_NETLINK, SOCK_RAW, 0)); }
static long packet_socket(void) { return result(socket(AF_PACKET, SOCK_RAW, 0)); }
static long socket_pair(void) { int s[2]; return result(socketpair(AF_UNIX, SOCK_STREAM, 0, s)); }
static long connect_link(void) { struct sockaddr_in a = { .sin_family = AF_INET }; return result(connect(3, (struct sockaddr *)&a, sizeof a)); }
static long send_link(void) { return result(send(3, "x", 1, MSG_NOSIGNAL)); }
static long receive_link(void) { char b; return result(recv(3, &b, 1, MSG_DONTWAIT)); }
static long send_descriptors(void)
{
    char c[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec v = { "x", 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    return result(sendmsg(3, &m, MSG_NOSIGNAL));
}
/* Where the filter's listener once went. */
static long send_hand_over(void) { struct msghdr m = { 0 }; return result(sendmsg(6, &m, MSG_NOSIGNAL)); }
static long link_onto_hand_over(void) { return result(dup2(3, 6)); }
static long dup_link(void) { return result(dup(3)); }
static long fcntl_dup(void) { return result(fcntl(3, F_DUPFD, 6)); }
static long make_pipe(void) { int p[2]; return result(pipe(p)); }
static long make_eventfd(void) { return result(syscall(SYS_eventfd2, 0, 0)); }
static long make_epoll(void) { return result(syscall(SYS_epoll_create1, 0)); }
static long poll_link(void) { long f[1] = { 3 }; return result(syscall(SYS_poll, f, 1, 0)); }

/* Processes. */
static long execute(void) { char *a[] = { "/bin/true", 0 }; return result(execve("/bin/true", a, a + 1)); }
static long fork_once(void) { pid_t p = fork(); if (p == 0) _exit(0); return result(p); }
static long raw_fork(void) { long p = syscall(SYS_fork); if (p == 0) _exit(0); return result(p); }
static long vfork_once(void) { long p = syscall(SYS_vfork); if (p == 0) _exit(0); return result(p); }
static long clone3_thread(void) { long a[11] = { 0 }; return result(syscall(SYS_clone3, a, sizeof a)); }
static void *nothing(void *x) { return x; }
static long one_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, 0, nothing, 0);
    if (r == 0) pthread_join(t, 0);
    return -r;
}
static void *for_ever(void *x) { for (;;) pause(); return x; }
static long thread_bomb(void)
{
    pthread_t t;
    long n = 0;
    while (n < 1000) {
        int r = pthread_create(&t, 0, for_ever, 0);
        if (r != 0) return n < 200 ? -r : n;
        n++;
    }
    return n;
}
/* What came from the supervisor: descriptors beyond the worker's own six and its plugin, which came over the link where there is no filter; and variables of the environment. */
static long odd_descriptors(void)
{
    long n = 0;
    for (int fd = 7; fd < 4096; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}
static long variables(void)
{
    long n = 0;
    for (char **one = environ; one && *one; one++) n++;
    return n;
}
static long kill_all(void) { return result(kill(-1, 0)); }
static long kill_parent(void) { return result(kill(getpid() + 1, 0)); }
static long tgkill_other(void) { return result(syscall(SYS_tgkill, 2, 2, 0)); }
static long tkill_self(void) { return result(syscall(SYS_tkill, syscall(SYS_gettid), 0)); }
static long queue_signal(void) { int info[32] = { 0, 0, -1 }; return result(syscall(SYS_rt_sigqueueinfo, 1, 0, info)); }
static long trace_parent(void) { return result(ptrace(PTRACE_SEIZE, 1, 0, 0)); }
static long trace_me(void) { return result(ptrace(PTRACE_TRACEME, 0, 0, 0)); }
static long read_other(void) { char b; struct iovec v = { &b, 1 }; return result(process_vm_readv(1, &v, 1, &v, 1, 0)); }
static long write_other(void) { char b; struct iovec v = { &b, 1 }; return result(process_vm_writev(1, &v, 1, &v, 1, 0)); }
static long open_pidfd(void) { return result(syscall(SYS_pidfd_open, 1, 0)); }
static long pidfd_get(void) { return result(syscall(438, 0, 0, 0)); }
static long compare(void) { return result(syscall(SYS_kcmp, 1, 1, 0, 0, 0)); }
static long exit_call(void) { exit(0); }
static long exit_group_call(void) { syscall(SYS_exit_group, 0); return 0; }
static long session_of_others(void) { return result(getsid(0)); }
static long become_root(void) { return result(setresuid(0, 0, 0)); }
static long drop_groups(void) { return result(syscall(SYS_setgroups, 0, 0)); }
static long renice(void) { return result(syscall(SYS_setpriority, 0, 0, -20)); }
static long raise_limit(void) { struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY }; return result(setrlimit(RLIMIT_DATA, &r)); }
static long prlimit_other(void) { return result(syscall(SYS_prlimit64, 1, RLIMIT_DATA, 0, 0)); }
static long leave_namespace(void) { return result(setns(0, 0)); }
static long new_namespace(void) { return result(unshare(CLONE_NEWUTS)); }
static long set_capabilities(void) { int h[2] = { 0x20080522, 0 }, d[6] = { 1 << 13, 1 << 13 }; return result(syscall(SYS_capset, h, d)); }
static long dumpable(void) { return result(prctl(PR_SET_DUMPABLE, 1)); }
static long forget_parent(void) { return result(prctl(PR_SET_PDEATHSIG, 0)); }

/* Filters and signals. */
static long own_filter(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog p = { 1, &allow };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p));
}
static long own_listener(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog p = { 1, &allow };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p));
}
static long handle(int s) { struct sigaction a = { .sa_handler = SIG_IGN }; return result(sigaction(s, &a, 0)); }
static long handle_sys(void) { return handle(SIGSYS); }
static long handle_term(void) { return handle(SIGTERM); }
static long handle_segv(void) { return handle(SIGSEGV); }

/* Memory. */
static long map_executable(void) { return pointer(mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }
static long map_code(void) { return pointer(mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }
static long map_shared(void) { return pointer(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)); }
static char page[8192] __attribute__((aligned(4096)));
static long protect_executable(void) { return result(mprotect(page, 4096, PROT_READ | PROT_EXEC)); }
static long protect_key(void) { return result(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, 0)); }
static long code_writable(void) { return result(mprotect((void *)((unsigned long)&open_file & ~4095ul), 4096, PROT_READ | PROT_WRITE | PROT_EXEC)); }
static long become_executable(void) { return result(syscall(SYS_personality, 0x0400000)); }
static long memory_file(void) { return result(syscall(SYS_memfd_create, "x", 0)); }
static long secret_memory(void) { return result(syscall(447, 0)); }
static long execute_memory(void)
{
    char *a[] = { "x", 0 };
    return result(syscall(SYS_execveat, 0, "", a, a + 1, AT_EMPTY_PATH));
}
static long shared_segment(void) { return result(syscall(SYS_shmget, 0, 4096, 01600)); }
static long message_queue(void) { return result(syscall(SYS_msgget, 0, 01600)); }
static long lock_memory(void) { return result(mlock(page, 4096)); }
static long remap_pages(void) { return result(syscall(SYS_remap_file_pages, page, 4096, 0, 0, 0)); }
static long heap_bomb(void)
{
    for (long n = 0; n < 4096; n++) {
        char *p = malloc(1 << 20);
        if (!p) return n < 512 ? -ENOMEM : n;
        for (int i = 0; i < 1 << 20; i += 4096) p[i] = 1;
    }
    return 4096;
}
static long map_bomb(void)
{
    for (long n = 0; n < 4096; n++)
        if (mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            return n < 512 ? -errno : n;
    return 4096;
}
static long reserve_bomb(void)
{
    for (long n = 0; n < 4096; n++)
        if (mmap(0, 1 << 26, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return n < 64 ? -errno : n;
    return 4096;
}

/* Kernel interfaces. */
static long uring(void) { char p[120] = { 0 }; return result(syscall(425, 1, p)); }
static long faults(void) { return result(syscall(SYS_userfaultfd, 0)); }
static long keys(void) { return result(syscall(SYS_keyctl, 0, -3, 0)); }
static long add_a_key(void) { return result(syscall(SYS_add_key, "user", "x", "y", 1, -3)); }
static long perf(void) { char a[128] = { 0 }; return result(syscall(SYS_perf_event_open, a, 0, -1, -1, 0)); }
static long bpf_program(void) { char a[128] = { 0 }; return result(syscall(SYS_bpf, 5, a, sizeof a)); }
static long load_module(void) { return result(syscall(SYS_init_module, 0, 0, "")); }
static long reboot_machine(void) { return result(syscall(SYS_reboot, 0, 0, 0, 0)); }
static long set_time(void) { return result(syscall(SYS_clock_settime, 0, 0)); }
static long host_name(void) { return result(syscall(SYS_sethostname, "x", 0)); }
static long system_log(void) { return result(syscall(SYS_syslog, 10, 0, 0)); }
static long terminal(void) { return result(syscall(SYS_ioctl, 3, 0x541b, page)); }
static long descriptor_table(void) { unsigned int t[4] = { 0 }; return result(syscall(SYS_modify_ldt, 0, t, sizeof t)); }
static long timer_bomb(void) { int id; return result(syscall(SYS_timer_create, 0, 0, &id)); }
static long unknown_call(void) { return result(syscall(999)); }
static long x32_call(void) { return result(syscall(0x40000000 | SYS_getpid)); }
static long int80_call(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "0"(20 /* getpid */) : "r8", "r9", "r10", "r11", "memory");
    return r;
}
static long int80_execve(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "0"(11), "b"(0), "c"(0), "d"(0) : "r8", "r9", "r10", "r11", "memory");
    return r;
}

#include "ring.h"

/* Endings. */
static long spin(void) { for (;;) __asm__ volatile(""); }
static long sleep_long(void) { sleep(60); return 0; }
static int *volatile nowhere;
static long null_write(void) { *nowhere = 1; return 0; }
static long divide(void) { volatile int one = 100, zero = 0; return one / zero; }
static long undefined(void) { __asm__ volatile("ud2"); return 0; }
static long trap(void) { __asm__ volatile("int3"); return 0; }
static long jump_into_data(void) { page[0] = (char)0xc3; ((void (*)(void))page)(); return 0; }
static long give_abort(void) { abort(); }
static long recurse(long n)
{
    volatile char block[4096];
    block[0] = (char)n;
    return recurse(n + 1) + block[0];
}
static long recursion(void) { return recurse(0); }
static long flood(void) { for (int i = 0; i < 100000; i++) open("/etc/passwd", O_RDONLY); return 0; }
static long close_all(void)
{
    long r = 0;
    for (int i = 0; i < 64; i++)
        if (close(i) != 0 && errno == EPERM) r = -errno;
    return r;
}
static long hang_up(void) { return result(close(3)); }
/* The beginning of a frame of 32 bytes, and nothing after it. */
static long drip(void) { push("\040\0\0\0\121\0\001", 8); sleep(60); return 0; }
static long babble(void) { return say("garbage garbage garbage garbage garbage", 39); }
static long print_flood(void)
{
    static char line[4096];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 20000; i++)
        if (write(1, line, sizeof line) < 0 && errno != EAGAIN) return -errno;
    return 0;
}
static void *attack_later(void *x) { usleep(1000); open_file(); return x; }
static long from_a_thread(void)
{
    pthread_t t;
    int r = pthread_create(&t, 0, attack_later, 0);
    if (r == 0) pthread_join(t, 0);
    return -r;
}

#include "more.h"

#ifdef CTOR
static long of_the_constructor = -12345;
__attribute__((constructor)) static void construct(void) { of_the_constructor = CTOR(); }
static long constructor(void) { return of_the_constructor; }
#else
static long constructor(void) { return 0; }
#endif

#define A(name) { #name, name }
static const struct { const char *name; long (*attack)(void); } ATTACKS[] = {
    A(constructor), A(open_file), A(create_file), A(open_proc), A(openat2_file), A(stat_file), A(statx_file), A(list_directory), A(read_link),
    A(unlink_file), A(make_directory), A(change_root), A(change_directory), A(mount_something), A(open_tree), A(handle_at), A(inotify),
    A(read_secrets), A(connect_loopback), A(send_datagram), A(tcp_socket), A(unix_socket), A(netlink_socket), A(packet_socket), A(socket_pair), A(connect_link), A(send_link), A(receive_link),
    A(send_descriptors), A(send_hand_over), A(link_onto_hand_over), A(dup_link), A(fcntl_dup), A(make_pipe), A(make_eventfd), A(make_epoll),
    A(poll_link), A(execute), A(fork_once), A(raw_fork), A(vfork_once), A(clone3_thread), A(one_thread), A(thread_bomb), A(odd_descriptors), A(variables), A(kill_all), A(kill_parent),
    A(tgkill_other), A(tkill_self), A(queue_signal), A(trace_parent), A(trace_me), A(read_other), A(write_other), A(open_pidfd), A(pidfd_get),
    A(compare), A(exit_call), A(exit_group_call), A(session_of_others), A(become_root), A(drop_groups), A(renice), A(raise_limit), A(prlimit_other),
    A(leave_namespace), A(new_namespace), A(set_capabilities), A(dumpable), A(forget_parent), A(own_filter), A(own_listener), A(handle_sys),
    A(handle_term), A(handle_segv), A(map_executable), A(map_code), A(map_shared), A(protect_executable), A(protect_key), A(code_writable),
    A(become_executable), A(memory_file), A(secret_memory), A(execute_memory), A(shared_segment), A(message_queue), A(lock_memory), A(remap_pages),
    A(heap_bomb), A(map_bomb), A(reserve_bomb), A(uring), A(faults), A(keys), A(add_a_key), A(perf), A(bpf_program), A(load_module),
    A(reboot_machine), A(set_time), A(host_name), A(system_log), A(terminal), A(descriptor_table), A(timer_bomb), A(unknown_call), A(x32_call),
    A(int80_call), A(int80_execve), A(spin), A(sleep_long), A(null_write), A(divide), A(undefined), A(trap), A(jump_into_data), A(give_abort),
    A(recursion), A(flood), A(close_all), A(babble), A(hang_up), A(drip), A(print_flood), A(from_a_thread),
    MORE_ATTACKS,
    RING_ATTACKS,
};

/* ------------------------------------------------------------------ the plugin around it */

static croupier_host host;

static croupier_status reply_with(const croupier_sink *to, const char *s)
{
    return to->write(to->ctx, (const uint8_t *)s, strlen(s));
}

static croupier_status init(const croupier_host *from, croupier_slice settings, void **game)
{
    (void)settings;
    host = *from;
    *game = &host;
    return CROUPIER_OK;
}

static void over(void *game) { (void)game; }

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config, const croupier_sink *reply, void **session)
{
    (void)game, (void)turn, (void)config;
    *session = &host;
    return reply_with(reply, "{}");
}

static croupier_status session_restore(void *game, uint64_t id, uint32_t version, croupier_slice snapshot, void **session)
{
    (void)game, (void)id, (void)version, (void)snapshot;
    *session = &host;
    return CROUPIER_OK;
}

static croupier_status session_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game, (void)session;
    /* Without a turn the session is forgotten. */
    return turn == NULL ? CROUPIER_OK : reply_with(reply, "{}");
}

static croupier_status action(void *game, void *session, const croupier_turn *turn, croupier_slice what, const croupier_sink *reply)
{
    char line[64];
    (void)game, (void)session, (void)turn;
    for (size_t i = 0; i < sizeof ATTACKS / sizeof *ATTACKS; i++) {
        size_t len = strlen(ATTACKS[i].name);
        /* The action is the name as a JSON string. */
        if (what.len == len + 2 && memcmp(what.ptr + 1, ATTACKS[i].name, len) == 0) {
            snprintf(line, sizeof line, "%ld", ATTACKS[i].attack());
            return reply_with(reply, line);
        }
    }
    return CROUPIER_E_BAD_INPUT;
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *to)
{
    (void)game, (void)session;
    return reply_with(to, "s");
}

static const croupier_descriptor DESCRIPTOR = {
    .struct_size = sizeof DESCRIPTOR, .abi_minor = CROUPIER_ABI_MINOR, .name = "hostile", .version = "1.0.0", .state_version = 1,
};
static const croupier_vtable VTABLE = {
    .struct_size = sizeof VTABLE, .init = init, .shutdown = over, .session_open = session_open, .session_restore = session_restore,
    .session_close = session_close, .action = action, .snapshot = snapshot,
};
CROUPIER_EXPORT_PLUGIN(DESCRIPTOR, VTABLE);
