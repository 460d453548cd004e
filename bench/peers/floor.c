/* The floor of every comparison: what C does without any check. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const int OPEN_FLAGS = O_RDWR | O_CREAT | O_CLOEXEC;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static int open_file(const char *path) {
  int fd = open(path, OPEN_FLAGS, 0666);
  if (fd < 0) {
    perror(path);
    exit(1);
  }
  return fd;
}

static int next_line(void) {
  char c;
  do
    if (read(0, &c, 1) <= 0) return 0;
  while (c != '\n');
  return 1;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void uncontended(const char *path, int count) {
  struct stat s;
  struct statfs f;
  struct statx sx;
  int fd = open_file(path);
  double start = now_ns();
  for (int i = 0; i < count; i++) {
    flock(fd, LOCK_EX | LOCK_NB);
    flock(fd, LOCK_UN);
  }
  printf("{\"name\":\"descriptor\",\"ns\":%.0f}\n", (now_ns() - start) / count);
  close(fd);
  start = now_ns();
  for (int i = 0; i < count; i++) {
    fd = open_file(path);
    flock(fd, LOCK_EX | LOCK_NB);
    close(fd);
  }
  printf("{\"name\":\"path\",\"ns\":%.0f}\n", (now_ns() - start) / count);
  start = now_ns();
  for (int i = 0; i < count; i++) {
    fd = open_file(path);
    statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx);
    fstatfs(fd, &f);
    flock(fd, LOCK_EX | LOCK_NB);
    stat(path, &s);
    flock(fd, LOCK_UN);
    close(fd);
  }
  printf("{\"name\":\"checked\",\"ns\":%.0f}\n", (now_ns() - start) / count);
}

/* Locks and unlocks ten bytes. */
static void records(const char *path, int count) {
  static const struct { const char *name; int command; } kinds[] = {
    { "ofd", F_OFD_SETLK }, { "posix", F_SETLK },
  };
  int fd = open_file(path);
  for (int kind = 0; kind < 2; kind++) {
    double start = now_ns();
    for (int i = 0; i < count; i++) {
      struct flock lock = { .l_type = F_WRLCK, .l_start = 100, .l_len = 10 };
      fcntl(fd, kinds[kind].command, &lock);
      lock.l_type = F_UNLCK;
      fcntl(fd, kinds[kind].command, &lock);
    }
    printf("{\"name\":\"%s\",\"ns\":%.0f}\n", kinds[kind].name,
           (now_ns() - start) / count);
  }
  close(fd);
}

/* A line on stdin takes the lock, the next one releases it. */
static void holder(const char *path) {
  while (next_line()) {
    int fd = open_file(path);
    flock(fd, LOCK_EX);
    puts("ready");
    if (!next_line()) return;
    double released = now_ns();
    close(fd);
    printf("%.0f\n", released);
  }
}

static void waiter(const char *path) {
  puts("ready");
  while (next_line()) {
    int fd = open_file(path);
    flock(fd, LOCK_EX);
    double taken = now_ns();
    double released = now_ns();
    close(fd);
    printf("%.0f %.0f\n", taken, released);
  }
}

/* What a critical section of this benchmark does: nothing, for 0.1 ms. */
static void hold(void) {
  double end = now_ns() + 100e3;
  while (now_ns() < end)
    ;
}

static void sections(const char *path, int count) {
  double *waits = malloc(count * sizeof *waits);
  puts("ready");
  next_line();
  for (int i = 0; i < count; i++) {
    double start = now_ns();
    int fd = open_file(path);
    flock(fd, LOCK_EX);
    waits[i] = (now_ns() - start) / 1e6;
    hold();
    close(fd);
  }
  qsort(waits, count, sizeof *waits, by_value);
  struct rusage self;
  getrusage(RUSAGE_SELF, &self);
  printf("{\"worst\":%.3f,\"median\":%.3f,\"cpu\":%.3f}\n", waits[count - 1],
         waits[count / 2],
         (self.ru_utime.tv_sec + self.ru_stime.tv_sec) * 1e3 +
             (self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e3);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *task = argc > 1 ? argv[1] : "";
  const char *path = argc > 2 ? argv[2] : "";
  int count = argc > 3 ? atoi(argv[3]) : 0;
  if (!strcmp(task, "uncontended")) uncontended(path, count);
  else if (!strcmp(task, "records")) records(path, count);
  else if (!strcmp(task, "holder")) holder(path);
  else if (!strcmp(task, "waiter")) waiter(path);
  else if (!strcmp(task, "sections")) sections(path, count);
  else if (!strcmp(task, "section")) hold();
  else if (!strcmp(task, "stamp")) printf("%.0f %.0f\n", now_ns(), now_ns());
  else return 64;
  return 0;
}
