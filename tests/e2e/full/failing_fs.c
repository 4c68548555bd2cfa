// A file system of FUSE that shows a directory and fails on purpose: what no library can inject under mapped memory.
//
// usage: failing_fs DIRECTORY MOUNTPOINT -f -o ro
// Faults are steered by files in DIRECTORY, which are not shown: `.eio` (reads of NAMES in it, one a line, give EIO from the
// OFFSET behind each name on: "bad.safetensors 4096"), `.delay` (the same, but reads wait so many milliseconds).
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[PATH_MAX];

static void Locate(const char* path, char* out) { snprintf(out, PATH_MAX, "%.3000s%.1000s", directory, path); }

// The number that `file` gives for `path`; -1 when the file or the name is not there.
static long Steering(const char* file, const char* path) {
  char where[PATH_MAX];
  snprintf(where, sizeof(where), "%.3000s/%s", directory, file);
  FILE* const lines = fopen(where, "re");
  if (lines == NULL) return -1;
  char name[256];
  long number = -1, found = -1;
  while (fscanf(lines, "%255s %ld", name, &number) == 2) {
    if (strcmp(name, path + 1) == 0) found = number;
  }
  fclose(lines);
  return found;
}

static int GetAttributes(const char* path, struct stat* status, struct fuse_file_info* info) {
  (void)info;
  char where[PATH_MAX];
  Locate(path, where);
  return lstat(where, status) == 0 ? 0 : -errno;
}

static int ReadDirectory(const char* path, void* buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info* info,
                         enum fuse_readdir_flags flags) {
  (void)offset, (void)info, (void)flags;
  char where[PATH_MAX];
  Locate(path, where);
  DIR* const entries = opendir(where);
  if (entries == NULL) return -errno;
  for (const struct dirent* entry; (entry = readdir(entries)) != NULL;) {
    if (entry->d_name[0] != '.') fill(buffer, entry->d_name, NULL, 0, 0);
  }
  closedir(entries);
  return 0;
}

static int Open(const char* path, struct fuse_file_info* info) {
  char where[PATH_MAX];
  Locate(path, where);
  const int fd = open(where, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  info->fh = (uint64_t)fd;
  return 0;
}

static int Read(const char* path, char* buffer, size_t size, off_t offset, struct fuse_file_info* info) {
  const long delay = Steering(".delay", path);
  if (delay > 0) {
    struct timespec left = {delay / 1000, delay % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
  }
  const long bad = Steering(".eio", path);
  if (bad >= 0 && offset + (off_t)size > bad) return -EIO;
  const ssize_t count = pread((int)info->fh, buffer, size, offset);
  return count >= 0 ? (int)count : -errno;
}

// What close() waits for.
static int Flush(const char* path, struct fuse_file_info* info) {
  (void)info;
  const struct timespec pause = {0, 20000000};
  while (Steering(".hold", path) > 0) nanosleep(&pause, NULL);
  return 0;
}

static int Release(const char* path, struct fuse_file_info* info) {
  (void)path;
  close((int)info->fh);
  return 0;
}

static const struct fuse_operations operations = {
    .getattr = GetAttributes, .readdir = ReadDirectory, .open = Open, .read = Read, .flush = Flush, .release = Release};

int main(int argc, char** argv) {
  if (argc < 3 || realpath(argv[1], directory) == NULL) {
    fprintf(stderr, "usage: failing_fs DIRECTORY MOUNTPOINT [FUSE OPTION...]\n");
    return 2;
  }
  argv[1] = argv[0];
  return fuse_main(argc - 1, argv + 1, &operations, NULL);
}
