// LD_PRELOAD library of the tests: makes calls on files fail or wait.
//
//   TENSORD_FAULT_CALL   open | openat2 | fstat | mmap | pread | accept4   (open: also openat2)
//   TENSORD_FAULT_NAME   only files whose path has this text in it; empty: any (accept4 has no path)
//   TENSORD_FAULT_NTH    the n-th such call fails, from 1 on, and no other; 0: every one
//   TENSORD_FAULT_ERRNO  with this number; 0: it does not fail (pread: reads short, half of what was asked)
//   TENSORD_FAULT_MS     it waits so long first
//   TENSORD_FAULT_FIRED  this file is made when a fault first strikes
//   TENSORD_FAULT_WHILE  faults strike only while this file exists; unset: always
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls_seen;

static const char* Setting(const char* name) {
  const char* const value = getenv(name);
  return value != NULL ? value : "";
}

// Whether `call` on `path` is to fail now. Waits first, where asked to. Leaves errno set.
static bool Strikes(const char* call, const char* path) {
  if (strcmp(Setting("TENSORD_FAULT_CALL"), call) != 0) return false;
  if (strstr(path, Setting("TENSORD_FAULT_NAME")) == NULL) return false;
  const char* const switch_file = Setting("TENSORD_FAULT_WHILE");
  if (*switch_file != '\0' && syscall(SYS_access, switch_file, F_OK) != 0) return false;
  const long nth = atol(Setting("TENSORD_FAULT_NTH"));
  if (nth != 0 && atomic_fetch_add(&calls_seen, 1) + 1 != nth) return false;
  const char* const fired = Setting("TENSORD_FAULT_FIRED");
  if (*fired != '\0') syscall(SYS_close, syscall(SYS_open, fired, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const long milliseconds = atol(Setting("TENSORD_FAULT_MS"));
  if (milliseconds > 0) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
  }
  errno = atoi(Setting("TENSORD_FAULT_ERRNO"));
  return true;
}

static bool StrikesFd(const char* call, int fd) {
  if (strcmp(Setting("TENSORD_FAULT_CALL"), call) != 0) return false;
  char link[64];
  char path[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const long size = syscall(SYS_readlink, link, path, sizeof(path) - 1);
  path[size > 0 ? size : 0] = '\0';
  return Strikes(call, path);
}

// openat2 has no wrapper in glibc, so those who want it come through here.
long syscall(long number, ...) {
  static long (*next)(long, ...);
  if (next == NULL) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_openat2) {
    const char* const path = (const char*)a[1];
    const char* const name = Setting("TENSORD_FAULT_NAME");
    // Relative to a directory: the name that is asked for may stand in either half.
    const bool strikes = strstr(path, name) != NULL
                             ? Strikes("openat2", path) || Strikes("open", path)
                             : StrikesFd("openat2", (int)a[0]) || StrikesFd("open", (int)a[0]);
    if (strikes && errno != 0) return -1;
  }
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define NEXT(function) \
  static __typeof__(&function) next; \
  if (next == NULL) next = (__typeof__(&function))dlsym(RTLD_NEXT, #function)

#define OPEN(function)                               \
  int function(const char* path, int flags, ...) {   \
    NEXT(function);                                  \
    va_list list;                                    \
    va_start(list, flags);                           \
    const mode_t mode = va_arg(list, mode_t);        \
    va_end(list);                                    \
    if (Strikes("open", path) && errno != 0) return -1; \
    return next(path, flags, mode);                  \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                        \
  int function(int directory, const char* path, int flags, ...) { \
    NEXT(function);                                             \
    va_list list;                                               \
    va_start(list, flags);                                      \
    const mode_t mode = va_arg(list, mode_t);                   \
    va_end(list);                                               \
    if (Strikes("open", path) && errno != 0) return -1;         \
    return next(directory, path, flags, mode);                  \
  }
OPENAT(openat)
OPENAT(openat64)

int fstat(int fd, struct stat* status) {
  NEXT(fstat);
  return StrikesFd("fstat", fd) && errno != 0 ? -1 : next(fd, status);
}

int fstat64(int fd, struct stat64* status) {
  NEXT(fstat64);
  return StrikesFd("fstat", fd) && errno != 0 ? -1 : next(fd, status);
}

#define MMAP(function)                                                                           \
  void* function(void* address, size_t size, int protection, int flags, int fd, off_t offset) {  \
    NEXT(function);                                                                              \
    if (fd >= 0 && StrikesFd("mmap", fd) && errno != 0) return MAP_FAILED;                       \
    return next(address, size, protection, flags, fd, offset);                                   \
  }
MMAP(mmap)
MMAP(mmap64)

#define PREAD(function)                                                  \
  ssize_t function(int fd, void* data, size_t size, off_t offset) {      \
    NEXT(function);                                                      \
    if (!StrikesFd("pread", fd)) return next(fd, data, size, offset);    \
    if (errno != 0) return -1;                                           \
    return next(fd, data, size > 1 ? size / 2 : size, offset);           \
  }
PREAD(pread)
PREAD(pread64)

#define PREADV(function, extra, ...)                                                        \
  ssize_t function(int fd, const struct iovec* pieces, int count, off_t offset extra) {     \
    NEXT(function);                                                                         \
    if (StrikesFd("pread", fd) && errno != 0) return -1;                                    \
    return next(fd, pieces, count, offset __VA_ARGS__);                                     \
  }
#define COMMA ,
PREADV(preadv, )
PREADV(preadv64, )
PREADV(preadv2, COMMA int flags, COMMA flags)
PREADV(preadv64v2, COMMA int flags, COMMA flags)

int accept4(int fd, __SOCKADDR_ARG address, socklen_t* size, int flags) {
  NEXT(accept4);
  return Strikes("accept4", "") && errno != 0 ? -1 : next(fd, address, size, flags);
}
