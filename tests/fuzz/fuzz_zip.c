/* Zip files as trees of pictures, all entries read. */
#include "data/filetree.h"
#include "fuzz.h"

#include <string.h>

static void run(const uint8_t *data, size_t size) {
    clm_filetree *tree = NULL;
    if (clm_filetree_open(&tree, fuzz_file("a.zip", data, size)) != CLM_OK) return;
    for (size_t i = 0; i < clm_filetree_count(tree); i++) {
        const uint8_t *bytes;
        size_t length;
        const char *name = clm_filetree_entry(tree, i);
        fuzz_check(name[0] != '/' && strncmp(name, "../", 3) != 0 && !strstr(name, "/../"), "zip: a name that leads out");
        (void)clm_filetree_read(tree, i, &bytes, &length);
    }
    clm_filetree_close(tree);
}

/* Deflate makes at most 1032 bytes of one, and an entry is read whole. */
const fuzz_target fuzz_this = {run, 4 << 20,
                               4096}; /* libzip takes 32 bytes for each of the 65535 entries that an end may claim */
