/* Stands between a program and the C library: the wall clock is so many milliseconds off as a file says, and the program
   ends, as by kill -9, just before the n-th change of a file whose name has a certain text in it. Every other call goes
   through as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static volatile int64_t *shift_ms;
static long kill_at;
static const char *kill_in;
static atomic_long changes;

__attribute__((constructor)) static void begin(void) {
    const char *clock = getenv("VITRINA_TEST_CLOCK");
    if (clock != NULL) {
        int file = open(clock, O_RDONLY | O_CLOEXEC);
        void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, file, 0);
        if (page == MAP_FAILED) abort();
        shift_ms = page;
    }
    const char *at = getenv("VITRINA_TEST_KILL_AT");
    kill_in = getenv("VITRINA_TEST_KILL_IN");
    kill_at = at != NULL && kill_in != NULL ? atol(at) : 0;
}

static void shifted(struct timespec *time) {
    if (shift_ms == NULL) return;
    int64_t ms = *shift_ms;
    time->tv_sec += ms / 1000;
    time->tv_nsec += ms % 1000 * 1000000;
    if (time->tv_nsec < 0) { time->tv_sec -= 1; time->tv_nsec += 1000000000; }
    if (time->tv_nsec >= 1000000000) { time->tv_sec += 1; time->tv_nsec -= 1000000000; }
}

int clock_gettime(clockid_t id, struct timespec *time) {
    int done = REAL(clock_gettime)(id, time);
    if (done == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) shifted(time);
    return done;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int done = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return done;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}

static void changes_path(const char *path) {
    if (kill_at > 0 && strstr(path, kill_in) != NULL && atomic_fetch_add(&changes, 1) + 1 == kill_at)
        kill(getpid(), SIGKILL);
}

static void changes_file(int file) {
    if (kill_at == 0) return;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    changes_path(path);
}

ssize_t write(int file, const void *from, size_t count) {
    changes_file(file);
    return REAL(write)(file, from, count);
}

ssize_t pwrite(int file, const void *from, size_t count, off_t at) {
    changes_file(file);
    return REAL(pwrite)(file, from, count, at);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at) {
    changes_file(file);
    return REAL(pwrite64)(file, from, count, at);
}

int ftruncate(int file, off_t length) {
    changes_file(file);
    return REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    changes_file(file);
    return REAL(ftruncate64)(file, length);
}

int fsync(int file) {
    changes_file(file);
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    changes_file(file);
    return REAL(fdatasync)(file);
}

int rename(const char *from, const char *to) {
    changes_path(to);
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    changes_path(path);
    return REAL(unlink)(path);
}
