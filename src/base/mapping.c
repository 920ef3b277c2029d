#include "base/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/memory.h"

static clm_status fail_io(const char *what, const char *path) {
    return clm_fail(CLM_E_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static clm_status map(clm_mapping *m, int fd, size_t size, int protection, const char *path) {
    void *data = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return fail_io("map", path);
    m->data = data;
    m->size = size;
    return CLM_OK;
}

clm_status clm_mapping_open(clm_mapping *out, const char *path) {
    clm_status status = CLM_OK;
    int fd;
    uint64_t size;
    *out = (clm_mapping){0};
    CLM_TRY(clm_file_open(path, &fd, &size));
    if (!size) CLM_GOTO(clm_fail(CLM_E_IO, "cannot map %s: it is empty", path));
    if (size > SIZE_MAX) CLM_GOTO(clm_fail(CLM_E_LIMIT, "cannot map %s: larger than the address space", path));
    status = map(out, fd, (size_t)size, PROT_READ, path);
out:
    close(fd);
    return status;
}

static int write_zeros(int fd, size_t size) {
    static const char zeros[65536];
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(fd, zeros, size - done < sizeof zeros ? size - done : sizeof zeros);
        if (put < 0 && errno != EINTR) return errno;
        if (put > 0) done += (size_t)put;
    }
    return 0;
}

/* A hole in a file would be a bus error when the disk is full as it is filled. */
static clm_status reserve(int fd, size_t size, const char *path) {
    int error = EOPNOTSUPP;
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
    do error = posix_fallocate(fd, 0, (off_t)size);
    while (error == EINTR);
#endif
    if (error == EOPNOTSUPP || error == EINVAL) error = write_zeros(fd, size); /* not every file system can */
    errno = error;
    if (error == ENOSPC || error == EFBIG || error == EDQUOT)
        return clm_fail(CLM_E_LIMIT, "no room for %s in %s: %s", clm_bytes_text((double)size).s, path, strerror(error));
    return error ? fail_io("write", path) : CLM_OK;
}

clm_status clm_mapping_create(clm_mapping *out, const char *directory, const char *name, size_t size) {
    static atomic_uint counter;
    clm_status status = CLM_OK;
    *out = (clm_mapping){0};
    char *path = clm_format("%s/%s.tmp-%ld-map%u", directory, name, (long)getpid(), atomic_fetch_add(&counter, 1u));
    if (!path) return CLM_E_MEMORY;
    int fd;
    CLM_UNINTERRUPTED(fd, open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd < 0) CLM_GOTO(fail_io("create", path));
    out->temporary = path;
    path = NULL;
    CLM_GOTO(reserve(fd, size, directory));
    status = map(out, fd, size, PROT_READ | PROT_WRITE, out->temporary);
out:
    if (fd >= 0) close(fd);
    free(path);
    if (status != CLM_OK) clm_mapping_close(out);
    return status;
}

clm_status clm_mapping_publish(clm_mapping *m, const char *path, size_t size) {
    if (truncate(m->temporary, (off_t)size) != 0) return fail_io("shorten", m->temporary);
    if (rename(m->temporary, path) != 0) return fail_io("replace", path);
    free(m->temporary);
    m->temporary = NULL;
    return CLM_OK;
}

void clm_mapping_hide(clm_mapping *m) {
    if (m->temporary) (void)unlink(m->temporary);
    free(m->temporary);
    m->temporary = NULL;
}

void clm_mapping_close(clm_mapping *m) {
    clm_mapping_hide(m);
    if (m->data) (void)munmap(m->data, m->size);
    *m = (clm_mapping){0};
}

uint64_t clm_disk_free(const char *directory) {
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}
