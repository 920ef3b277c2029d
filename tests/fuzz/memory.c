/* The memory that the process has, counted: by the hooks of a sanitizer, else by functions in front of glibc's; elsewhere,
 * as under ThreadSanitizer, it is not. */
#include <stdatomic.h>

#include "fuzz.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOOKS
#elif __has_feature(thread_sanitizer)
#define UNCOUNTED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HOOKS
#endif
#if !defined(HOOKS) && defined(__GLIBC__) && !defined(__SANITIZE_THREAD__) && !defined(UNCOUNTED)
#define IN_FRONT
#endif

static atomic_size_t used, peak;

#if defined(HOOKS) || defined(IN_FRONT)
static void count(size_t size) {
    const size_t now = atomic_fetch_add(&used, size) + size;
    size_t before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) continue;
}

static void uncount(size_t size) { atomic_fetch_sub(&used, size); }
#endif

size_t fuzz_memory_used(void) { return atomic_load(&used); }
void fuzz_memory_begin(void) { atomic_store(&peak, atomic_load(&used)); }
size_t fuzz_memory_peak(void) { return atomic_load(&peak); }

#if defined(HOOKS)
/* Of sanitizer/allocator_interface.h, which compilers come without. */
extern size_t __sanitizer_get_allocated_size(const volatile void *memory);
extern int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *memory, size_t size),
                                                     void (*on_free)(const volatile void *memory));

static void on_malloc(const volatile void *memory, size_t size) {
    (void)size;
    count(__sanitizer_get_allocated_size(memory));
}
static void on_free(const volatile void *memory) {
    if (memory) uncount(__sanitizer_get_allocated_size(memory));
}

__attribute__((constructor)) static void install(void) { __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free); }

#elif defined(IN_FRONT)
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static void *counted(void *memory) {
    if (memory) count(malloc_usable_size(memory));
    return memory;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t n, size_t size) { return counted(__libc_calloc(n, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    void *memory = counted(__libc_memalign(alignment, size));
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}
void free(void *memory) {
    if (memory) uncount(malloc_usable_size(memory));
    __libc_free(memory);
}
void *realloc(void *memory, size_t size) {
    const size_t before = memory ? malloc_usable_size(memory) : 0;
    void *moved = __libc_realloc(memory, size);
    if (moved || !size) uncount(before);
    return counted(moved);
}
#endif
