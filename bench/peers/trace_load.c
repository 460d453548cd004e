/* What is traced by bench/trace.ts: locks at a pace, and what this process
 * itself knows of the times. Clocks are CLOCK_MONOTONIC in nanoseconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int open_file(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) die(path);
  return fd;
}

static void wait_for_line(void) {
  char line[64];
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
}

/* For each line of stdin: the CPU time of one turn, with and without a lock. */
static void cost(const char *path, int turns) {
  for (;;) {
    wait_for_line();
    long start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int n = 0; n < turns; n++) {
      int fd = open_file(path);
      if (flock(fd, LOCK_EX) < 0) die("flock");
      close(fd);
    }
    long middle = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int n = 0; n < turns; n++) close(open_file(path));
    long end = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    printf("%ld %ld\n", (middle - start) / turns, (end - middle) / turns);
    fflush(stdout);
  }
}

static void prefer_real_time(int policy) {
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, policy, &first) < 0) die("sched_setscheduler");
}

/* So many lock events a second for some time, and no CPU left to others. */
static void spin(const char *path, long per_second, long ms) {
  int fd = open_file(path);
  puts("ready");
  fflush(stdout);
  wait_for_line();
  prefer_real_time(SCHED_RR);
  long start = now_ns(), made = 0;
  for (;;) {
    long passed = now_ns() - start;
    if (passed > ms * 1000000) break;
    if (made * 1000 > passed / 1000 * per_second / 1000) continue;
    for (int n = 0; n < 8; n++) {
      flock(fd, LOCK_EX);
      flock(fd, LOCK_UN);
    }
    made += 16;
  }
  printf("%ld\n", made);
  fflush(stdout);
}

/* Processes that leave no CPU idle, until stdin ends. */
static void busy(int processes) {
  pid_t *children = calloc(processes, sizeof *children);
  for (int p = 0; p < processes; p++) {
    children[p] = fork();
    if (children[p] == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) getppid();
    }
  }
  puts("ready");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) continue;
  for (int p = 0; p < processes; p++) kill(children[p], SIGKILL);
}

struct taking {
  long asked, got, released;
};

/* Takes a lock again and again, in several processes that sleep with it. */
static void contend(const char *path, int processes, int turns, long hold_us,
                    int fifo) {
  int gate[2];
  if (pipe(gate) < 0) die("pipe");
  for (int p = 0; p < processes; p++) {
    if (fork() != 0) continue;
    struct taking *takings = calloc(turns, sizeof *takings);
    /* No page of it is to be faulted in between lock and clock. */
    memset(takings, 1, turns * sizeof *takings);
    char byte;
    close(gate[1]);
    if (fifo) prefer_real_time(SCHED_FIFO);
    if (read(gate[0], &byte, 1) < 0) die("read");
    int fd = open_file(path);
    for (int n = 0; n < turns; n++) {
      struct taking *t = &takings[n];
      t->asked = now_ns();
      if (flock(fd, LOCK_EX) < 0) die("flock");
      t->got = now_ns();
      usleep(hold_us);
      flock(fd, LOCK_UN);
      t->released = now_ns();
      usleep(hold_us * (1 + p % 7));
    }
    char *text = malloc(turns * 120);
    int length = 0;
    for (int n = 0; n < turns; n++) {
      struct taking *t = &takings[n];
      length += sprintf(text + length, "%d %ld %ld %ld\n", getpid(),
                        t->asked, t->got, t->released);
    }
    /* Lines of several processes must not be mixed. */
    flock(1, LOCK_EX);
    for (int done = 0; done < length;) {
      int written = write(1, text + done, length - done);
      if (written < 0) die("write");
      done += written;
    }
    _exit(0);
  }
  close(gate[0]);
  puts("ready");
  fflush(stdout);
  wait_for_line();
  close(gate[1]);
  while (wait(NULL) > 0) continue;
  puts("done");
}

int main(int count, char **words) {
  const char *what = count > 2 ? words[1] : "";
  /* Who starts this may be preferred: this is not. */
  struct sched_param ordinary = {0};
  if (sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0) die("SCHED_OTHER");
  if (strcmp(what, "cost") == 0 && count == 4) {
    cost(words[2], atoi(words[3]));
  } else if (strcmp(what, "spin") == 0 && count == 5) {
    spin(words[2], atol(words[3]), atol(words[4]));
  } else if (strcmp(what, "contend") == 0 && count == 7) {
    contend(words[2], atoi(words[3]), atoi(words[4]), atol(words[5]),
            atoi(words[6]));
  } else if (strcmp(what, "busy") == 0) {
    busy(atoi(words[2]));
  } else {
    fprintf(stderr, "trace_load cost PATH TURNS\n"
                    "trace_load busy PROCESSES\n"
                    "trace_load spin PATH EVENTS_PER_SECOND MS\n"
                    "trace_load contend PATH PROCESSES TURNS HOLD_US FIFO\n");
    return 64;
  }
}
