#include "device/opencl/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* ---- the table ---- */

static bool same_kernel(const clm_launch *a, const clm_launch *b, size_t member_a, size_t member_b) {
    return member_a == member_b && !strcmp(a->entry, b->entry);
}

/* Collects the distinct texts, and for each launch the first one with the same kernel. */
static clm_status collect(clm_cl_chain *c) {
    for (size_t i = 0; i < c->count; i++) {
        const clm_launch *l = &c->launches[i];
        const char *text = NULL, *defines = l->defines ? l->defines : "";
        size_t m = 0, k = 0;
        CLM_TRY(clm_cl_text(c->d, l, &text));
        while (m < c->n_members && (strcmp(c->members[m].text, text) != 0 || strcmp(c->members[m].defines, defines) != 0)) m++;
        if (m == c->n_members) c->members[c->n_members++] = clm_cl_member_of(text, defines);
        c->member[i] = m;
        while (k < i && !same_kernel(&c->launches[k], l, c->member[k], m)) k++;
        c->kind[i] = k;
    }
    return CLM_OK;
}

static clm_status put(clm_cl_chain *c, cl_int value) {
    CLM_TRY(clm_grow(&c->table, &c->table_capacity, c->table_size + 1, sizeof *c->table));
    c->table[c->table_size++] = value;
    return CLM_OK;
}

static clm_status put_buffer(clm_cl_chain *c, clm_mem *mem) {
    int b = 0;
    while (b < c->n_buffers && c->buffer[b] != mem) b++;
    if (b == CLM_CHAIN_MEMORIES)
        return clm_fail(CLM_E_LIMIT, "a kernel of many launches uses more than %d buffers", CLM_CHAIN_MEMORIES);
    c->buffer[b] = mem;
    if (b == c->n_buffers) c->n_buffers++;
    return put(c, b);
}

/* One entry: kind, sizes, arguments. Offsets and strides are below 2^31 elements, as the memory plan makes them. */
static clm_status put_launch(clm_cl_chain *c, size_t i) {
    const clm_launch *l = &c->launches[i];
    CLM_TRY(put(c, (cl_int)c->kind[i]));
    for (int a = 0; a < c->sizes; a++) CLM_TRY(put(c, (cl_int)l->global[a]));
    for (int a = 0; a < l->n_args; a++) {
        const clm_arg *arg = &l->args[a];
        cl_float real = (cl_float)arg->f;
        cl_int bits = arg->i;
        if (arg->kind == CLM_ARG_FLOAT) memcpy(&bits, &real, sizeof bits);
        if (arg->kind == CLM_ARG_MEM) {
            if (arg->offset > INT32_MAX || arg->task_stride > INT32_MAX)
                return clm_fail(CLM_E_LIMIT, "%s: a value lies too far into its buffer for a kernel of many launches",
                                l->label);
            CLM_TRY(put_buffer(c, arg->mem));
            CLM_TRY(put(c, (cl_int)arg->offset));
            bits = (cl_int)arg->task_stride;
        }
        CLM_TRY(put(c, bits));
    }
    return CLM_OK;
}

/* Two texts may have kernels in common. */
static void make_names_own(clm_cl_chain *c) {
    uint64_t all = clm_hash(CLM_HASH_SEED, &c->n_buffers, sizeof c->n_buffers);
    for (size_t i = 0; i < c->count; i++)
        all = clm_hash_text(clm_hash_text(all, c->members[c->member[i]].suffix), c->launches[i].entry);
    for (size_t m = 0; m < c->n_members; m++) {
        char *suffix = c->members[m].suffix;
        snprintf(suffix, sizeof c->members[m].suffix, "_%016llx", (unsigned long long)clm_hash_text(all, suffix));
    }
}

/* ---- the text ---- */

static clm_status add_functions(clm_cl_chain *c) {
    clm_text_add(&c->text, "#define get_global_id(d) clm_index_##d\n");
    for (size_t m = 0; m < c->n_members; m++) {
        clm_text text = {0};
        clm_cl_member member = c->members[m];
        clm_cl_add_functions(&text, member.text, c->apart);
        member.text = text.data;
        if (!text.failed) clm_cl_join_member(&c->text, &member);
        const bool failed = text.failed;
        clm_text_free(&text);
        if (failed) return clm_fail(CLM_E_MEMORY, "building a kernel of many launches: out of memory");
    }
    clm_text_add(&c->text, "#undef get_global_id\n");
    return CLM_OK;
}

static void add_case(clm_cl_chain *c, size_t i) {
    const clm_launch *l = &c->launches[i];
    int at = 1 + c->sizes;
    clm_text_add(&c->text, "    case %zu:\n      %s\n        %s%s(%s", i, c->loop, l->entry, c->members[c->member[i]].suffix,
                 c->indices);
    for (int a = 0, n; a < l->n_args; a += n ? n : 1) {
        n = clm_cl_ints_at(l, a);
        if (l->args[a].kind == CLM_ARG_MEM) {
            clm_text_add(&c->text, ", base[t[%d]], (uint2)((uint)t[%d], (uint)t[%d])", at, at + 1, at + 2);
            at += 3;
            continue;
        }
        if (n && l->quads) {
            for (int k = 0; k < 4; k++) {
                clm_text_add(&c->text, k ? ", " : ", (int4)(");
                clm_text_add(&c->text, k < n ? "t[%d]" : "0", at + k);
            }
            clm_text_add(&c->text, ")");
        } else
            clm_text_add(&c->text, n ? ", t[%d]" : ", as_float(t[%d])", at);
        at += n ? n : 1;
    }
    clm_text_add(&c->text, ");\n      t += %d;\n      break;\n", at);
}

void clm_cl_chain_cases(clm_cl_chain *c) {
    clm_text_add(&c->text, "    switch (t[0]) {\n");
    for (size_t i = 0; i < c->count; i++)
        if (c->kind[i] == i) add_case(c, i);
    clm_text_add(&c->text, "    }\n");
}

clm_status clm_cl_chain_open(clm_cl_chain *c) {
    c->members = clm_calloc(c->count + 1, sizeof *c->members);
    c->kind = clm_calloc(c->count + 1, sizeof *c->kind);
    c->member = clm_calloc(c->count + 1, sizeof *c->member);
    c->place = clm_calloc(c->count + 1, sizeof *c->place);
    if (!c->members || !c->kind || !c->member || !c->place) return CLM_E_MEMORY;
    CLM_TRY(collect(c));
    for (size_t i = 0; i < c->count; i++) {
        c->place[i] = c->table_size;
        CLM_TRY(put_launch(c, i));
    }
    if (c->joined) make_names_own(c);
    return add_functions(c);
}

void clm_cl_chain_close(clm_cl_chain *c) {
    clm_text_free(&c->text);
    free(c->members);
    free(c->kind);
    free(c->member);
    free(c->place);
    free(c->table);
}
