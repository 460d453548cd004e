/**
 * The one place that talks to the C library.
 *
 * Every symbol is bound by itself, on first use: a process that takes a lock
 * and runs a command pays for the dozen it calls and not for all. Importing
 * this module binds nothing.
 *
 * `--allow-ffi` lets this process call any function of any library as itself:
 * it is as strong as `--allow-all`, and is asked for because there is no other
 * way to the kernel's lock calls.
 */

/* The C declaration stands above each entry; parameter types follow it.
 * Functions with variable arguments (open, fcntl, prctl, ioctl) are declared
 * with the arguments holdfast passes: on x86-64 and aarch64 Linux, integer and
 * pointer variadic arguments travel in the same registers as fixed ones. */
const SYMBOLS = {
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: "pointer" },
  // char *strerror(int errnum)
  strerror: { parameters: ["i32"], result: "pointer" },
  // void *dlsym(void *handle, const char *symbol)
  dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },

  // int open(const char *pathname, int flags, mode_t mode)
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int openat(int dirfd, const char *pathname, int flags, mode_t mode)
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset)
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // ssize_t write(int fd, const void *buf, size_t count)
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset)
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // off_t lseek(int fd, off_t offset, int whence)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // int ftruncate(int fd, off_t length)
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // int fallocate(int fd, int mode, off_t offset, off_t len)
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  // int fsync(int fd)
  fsync: { parameters: ["i32"], result: "i32" },
  // int fchmod(int fd, mode_t mode)
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  // int fchown(int fd, uid_t owner, gid_t group)
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  // ssize_t flistxattr(int fd, char *list, size_t size)
  flistxattr: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
  fgetxattr: {
    parameters: ["i32", "buffer", "buffer", "usize"],
    result: "isize",
  },
  // int fsetxattr(int fd, const char *name, const void *value, size_t size,
  //               int flags)
  fsetxattr: {
    parameters: ["i32", "buffer", "buffer", "usize", "i32"],
    result: "i32",
  },
  // int fremovexattr(int fd, const char *name)
  fremovexattr: { parameters: ["i32", "buffer"], result: "i32" },
  // int flock(int fd, int operation)
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int op, struct flock *arg)
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // int fcntl(int fd, int op, int arg)
  fcntl_int: {
    name: "fcntl",
    parameters: ["i32", "i32", "i32"],
    result: "i32",
  },
  // int statx(int dirfd, const char *pathname, int flags, unsigned int mask,
  //           struct statx *statxbuf)
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
  },
  // int fstatfs(int fd, struct statfs *buf)
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  // int access(const char *pathname, int mode)
  access: { parameters: ["buffer", "i32"], result: "i32" },
  // ssize_t getdents64(int fd, void *dirp, size_t count)
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t readlink(const char *pathname, char *buf, size_t bufsiz)
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  // ssize_t readlinkat(int dirfd, const char *pathname, char *buf,
  //                    size_t bufsiz)
  readlinkat: {
    parameters: ["i32", "buffer", "buffer", "usize"],
    result: "isize",
  },
  // char *realpath(const char *path, char *resolved_path)
  realpath: { parameters: ["buffer", "buffer"], result: "pointer" },
  // char *getcwd(char *buf, size_t size)
  getcwd: { parameters: ["buffer", "usize"], result: "pointer" },
  // int mkdir(const char *pathname, mode_t mode)
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  // int rmdir(const char *pathname)
  rmdir: { parameters: ["buffer"], result: "i32" },
  // int renameat2(int olddirfd, const char *oldpath, int newdirfd,
  //               const char *newpath, unsigned int flags)
  renameat2: {
    parameters: ["i32", "buffer", "i32", "buffer", "u32"],
    result: "i32",
  },
  // int unlinkat(int dirfd, const char *pathname, int flags)
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },

  // pid_t getpid(void)
  getpid: { parameters: [], result: "i32" },
  // pid_t gettid(void)
  gettid: { parameters: [], result: "i32" },
  // pid_t getppid(void)
  getppid: { parameters: [], result: "i32" },
  // pid_t getpgrp(void)
  getpgrp: { parameters: [], result: "i32" },
  // pid_t tcgetpgrp(int fd)
  tcgetpgrp: { parameters: ["i32"], result: "i32" },
  // uid_t geteuid(void)
  geteuid: { parameters: [], result: "u32" },
  // struct passwd *getpwuid(uid_t uid)
  getpwuid: { parameters: ["u32"], result: "pointer" },
  // int gethostname(char *name, size_t len)
  gethostname: { parameters: ["buffer", "usize"], result: "i32" },
  // int kill(pid_t pid, int sig)
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // int sigaction(int signum, const struct sigaction *act,
  //               struct sigaction *oldact)
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int sigaltstack(const stack_t *ss, stack_t *old_ss)
  sigaltstack: { parameters: ["buffer", "buffer"], result: "i32" },
  // int sigprocmask(int how, const sigset_t *set, sigset_t *oldset)
  sigprocmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int timer_create(clockid_t clockid, struct sigevent *sevp,
  //                  timer_t *timerid)
  timer_create: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int timer_settime(timer_t timerid, int flags,
  //                   const struct itimerspec *new_value,
  //                   struct itimerspec *old_value)
  timer_settime: {
    parameters: ["pointer", "i32", "buffer", "buffer"],
    result: "i32",
  },
  // int timer_delete(timer_t timerid)
  timer_delete: { parameters: ["pointer"], result: "i32" },
  // int prctl(int op, unsigned long arg2)
  prctl: { parameters: ["i32", "u64"], result: "i32" },
  // int getrlimit(int resource, struct rlimit *rlim)
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  // int execvp(const char *file, char *const argv[])
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
  // int posix_spawnp(pid_t *pid, const char *file,
  //                  const posix_spawn_file_actions_t *file_actions,
  //                  const posix_spawnattr_t *attrp,
  //                  char *const argv[], char *const envp[])
  posix_spawnp: {
    parameters: ["buffer", "buffer", "pointer", "buffer", "buffer", "pointer"],
    result: "i32",
  },
  // pid_t waitpid(pid_t pid, int *wstatus, int options)
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // int waitid(idtype_t idtype, id_t id, siginfo_t *infop, int options),
  // parked on a helper thread; its errno is lost.
  waitid_async: {
    name: "waitid",
    parameters: ["i32", "u32", "buffer", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // char *getenv(const char *name)
  getenv: { parameters: ["buffer"], result: "pointer" },
  // int setenv(const char *name, const char *value, int overwrite)
  setenv: { parameters: ["buffer", "buffer", "i32"], result: "i32" },
  // int prlimit(pid_t pid, int resource, const struct rlimit *new_limit,
  //             struct rlimit *old_limit)
  prlimit: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
  // long syscall(long number, ...), for kcmp(2), fsconfig(2), fsmount(2),
  // pidfd_open(2) and pidfd_send_signal(2), which take up to five numbers
  syscall_numbers: {
    name: "syscall",
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
  },
  // int pipe2(int pipefd[2], int flags)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // long syscall(long number, const char *fsname, unsigned int flags), for
  // fsopen(2)
  syscall_fsopen: {
    name: "syscall",
    parameters: ["i64", "buffer", "u64"],
    result: "i64",
  },
  // int chdir(const char *path)
  chdir: { parameters: ["buffer"], result: "i32" },
  // int setpriority(int which, id_t who, int prio)
  setpriority: { parameters: ["i32", "u32", "i32"], result: "i32" },
  // int sched_setscheduler(pid_t pid, int policy, const struct sched_param *p)
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // int sched_getscheduler(pid_t pid)
  sched_getscheduler: { parameters: ["i32"], result: "i32" },
  // int sched_setaffinity(pid_t pid, size_t cpusetsize, const cpu_set_t *mask)
  sched_setaffinity: {
    parameters: ["i32", "usize", "buffer"],
    result: "i32",
  },
  // int sched_getaffinity(pid_t pid, size_t cpusetsize, cpu_set_t *mask)
  sched_getaffinity: {
    parameters: ["i32", "usize", "buffer"],
    result: "i32",
  },
  // int clock_gettime(clockid_t clockid, struct timespec *tp)
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int getloadavg(double loadavg[], int nelem)
  getloadavg: { parameters: ["buffer", "i32"], result: "i32" },

  // int inotify_init1(int flags)
  inotify_init1: { parameters: ["i32"], result: "i32" },
  // int inotify_add_watch(int fd, const char *pathname, uint32_t mask)
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int inotify_rm_watch(int fd, int wd)
  inotify_rm_watch: { parameters: ["i32", "i32"], result: "i32" },
  // int usleep(useconds_t usec), on a helper thread
  usleep_async: {
    name: "usleep",
    parameters: ["u32"],
    result: "i32",
    nonblocking: true,
  },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout)
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  // The same, parked on a helper thread; its errno is lost.
  poll_async: {
    name: "poll",
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The bound C functions, each typed from its entry in the table. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

type LibcFunction = (...args: unknown[]) => unknown;

/** Calls of one function after which compiling a stub for it pays. */
const CALLS_BEFORE_STUB = 200;

/**
 * A call through a bare function pointer takes about 1.5 µs and nothing to
 * prepare. One through a symbol of `Deno.dlopen` takes 0.4 µs, but the machine
 * code for it takes 0.2 ms to make, which a short-lived process never earns.
 */
function bind(
  bound: object,
  table: Deno.ForeignLibraryInterface,
  name: string,
): LibcFunction {
  if (Deno.build.os !== "linux") {
    throw new Error(
      `holdfast needs Linux: this is ${Deno.build.os}, where its system calls differ`,
    );
  }
  const soname = sonameOf(name);
  const definition = table[name] as Deno.ForeignFunction;
  const symbol = definition.name ?? name;
  // What dlopen calls a static of type "pointer" is the symbol's address.
  const { symbols } = Deno.dlopen(soname, { [symbol]: { type: "pointer" } });
  const pointer = new Deno.UnsafeFnPointer(
    symbols[symbol] as Deno.PointerObject<Deno.ForeignFunction>,
    definition,
  );
  const call = pointer.call.bind(pointer) as LibcFunction;
  if (definition.nonblocking) return call;
  let calls = 0;
  let stub: LibcFunction | undefined;
  return (...args) => {
    if (stub !== undefined) return stub(...args);
    if (++calls <= CALLS_BEFORE_STUB) return call(...args);
    const library = Deno.dlopen(soname, { [name]: definition });
    const symbol = library.symbols[name] as LibcFunction;
    stub = OWN_CALL_SITE[name]?.(symbol) ?? symbol;
    define(bound, name, stub);
    return stub(...args);
  };
}

/* V8 compiles a direct call into C only where it has never seen another
 * function called. The callers have seen the pointer's: so each call of an
 * uncontended lock goes through a place of its own. Without that, `tryAcquire`
 * and its release take 15 % longer. */
const OWN_CALL_SITE: Readonly<
  Record<string, (f: LibcFunction) => LibcFunction>
> = {
  open: (f) => (path, flags, mode) => f(path, flags, mode),
  close: (f) => (fd) => f(fd),
  flock: (f) => (fd, operation) => f(fd, operation),
  fcntl: (f) => (fd, op, arg) => f(fd, op, arg),
  statx: (f) => (fd, path, flags, mask, buffer) =>
    f(fd, path, flags, mask, buffer),
};

/* Before glibc 2.34 timers, asynchronous I/O and threads are in libraries of
 * their own, which still are there and lead to libc since. */
function sonameOf(name: string): string {
  if (/^(timer|aio)_/.test(name)) return "librt.so.1";
  return name.startsWith("pthread_") ? "libpthread.so.0" : "libc.so.6";
}

function define(bound: object, name: string, value: LibcFunction): void {
  Object.defineProperty(bound, name, {
    configurable: true,
    enumerable: true,
    value,
  });
}

/**
 * Functions of the C library, each bound when it is first used.
 *
 * @param table Those that few programs need have a table of their own, beside
 * their caller.
 */
export function bindLazily<Table extends Deno.ForeignLibraryInterface>(
  table: Table,
): Deno.DynamicLibrary<Table>["symbols"] {
  const bound = Object.create(
    new Proxy({}, {
      get(_, name) {
        const value = bind(bound, table, name as string);
        define(bound, name as string, value);
        return value;
      },
    }),
  );
  return bound;
}

/**
 * The C library, bound lazily one symbol at a time.
 *
 * A call reports failure as the C function does; go through
 * `callLibc` of `call.ts` to have EINTR and errno dealt with.
 *
 * Permissions: `--allow-ffi` on the first use of each symbol.
 */
export const libc: Libc = bindLazily(SYMBOLS);

let errnoView: Deno.UnsafePointerView | undefined;

/**
 * The calling thread's errno. True only when read right after a synchronous
 * call that failed, with nothing in between, and once this function has been
 * called before: the first call binds `__errno_location`, which may itself
 * change errno.
 *
 * The address belongs to the thread, and every isolate keeps to its own.
 *
 * @returns The number, or `undefined` on the first call.
 */
export function lastErrno(): number | undefined {
  if (errnoView !== undefined) return errnoView.getInt32();
  errnoView = new Deno.UnsafePointerView(libc.__errno_location()!);
  return undefined;
}
