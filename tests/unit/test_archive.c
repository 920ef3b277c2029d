/* Archives: what is saved is what is loaded; damaged files are refused with a message that names the file; a failed save loses
 * nothing. Also the schedule of the outer rate. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/checkpoint.h"
#include "clmaml/model.h"
#include "clmaml/optim.h"

#define OK(call)                                                               \
    do {                                                                       \
        clm_status ok_status = (call);                                         \
        ck_assert_msg(ok_status == CLM_OK, "%s: %s", #call, clm_last_error()); \
    } while (0)

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char directory[512];
static char path[600];

static void set_up(void) {
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/clmaml-archive-XXXXXX", base && base[0] ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a.safetensors", directory);
}

static size_t count_files(void) {
    char **names;
    size_t count;
    OK(clm_directory_list(directory, &names, &count));
    clm_names_free(names, count);
    return count;
}

static void tear_down(void) {
    char **names;
    size_t count;
    OK(clm_directory_list(directory, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *name = clm_path_join(directory, names[i]);
        remove(name);
        free(name);
    }
    clm_names_free(names, count);
    rmdir(directory);
}

static clm_archive *load(void) {
    clm_archive *archive;
    OK(clm_archive_load(&archive, path));
    return archive;
}

/* ---- round trip ---- */

static const double some[6] = {0, -1.5, 3.14159265358979312, 1e-30, 2e30, -7};

static clm_archive *small_archive(void) {
    clm_archive *archive;
    clm_shape matrix = clm_shape_of(2, 2, 3), scalar = clm_shape_of(0), empty = clm_shape_of(2, 0, 3),
              three = clm_shape_of(1, 3);
    OK(clm_archive_create(&archive));
    OK(clm_archive_add(archive, "bytes", CLM_U8, &three, (const double[]){0, 127, 255}));
    OK(clm_archive_add(archive, "single", CLM_F32, &matrix, some));
    OK(clm_archive_add(archive, "double", CLM_F64, &matrix, some));
    OK(clm_archive_add(archive, "scalar", CLM_I64, &scalar, (const double[]){-9007199254740992.0}));
    OK(clm_archive_add(archive, "empty", CLM_F32, &empty, NULL));
    OK(clm_archive_set_meta(archive, "protocol", "5-way \"1-shot\"\n\xc3\xa9"));
    OK(clm_archive_set_meta(archive, "step", "1"));
    OK(clm_archive_set_meta(archive, "step", "2"));
    return archive;
}

static void check_small(const clm_archive *archive) {
    double out[6];
    clm_shape matrix = clm_shape_of(2, 2, 3), scalar = clm_shape_of(0), empty = clm_shape_of(2, 0, 3),
              three = clm_shape_of(1, 3);
    ck_assert_uint_eq(clm_archive_count(archive), 5);
    OK(clm_archive_read(archive, "double", &matrix, out, 6));
    ck_assert_mem_eq(out, some, sizeof(some));
    OK(clm_archive_read(archive, "single", &matrix, out, 6));
    for (int i = 0; i < 6; i++) ck_assert_double_eq(out[i], (double)(float)some[i]);
    OK(clm_archive_read(archive, "bytes", &three, out, 3));
    ck_assert(out[0] == 0 && out[1] == 127 && out[2] == 255);
    OK(clm_archive_read(archive, "scalar", &scalar, out, 1));
    ck_assert_double_eq(out[0], -9007199254740992.0);
    OK(clm_archive_read(archive, "empty", &empty, NULL, 0));
    ck_assert_ptr_null(clm_archive_shape(archive, "none"));
    ck_assert(clm_shape_equal(clm_archive_shape(archive, "double"), &matrix));
    ck_assert_str_eq(clm_archive_meta(archive, "protocol"), "5-way \"1-shot\"\n\xc3\xa9");
    ck_assert_str_eq(clm_archive_meta(archive, "step"), "2");
    ck_assert_ptr_null(clm_archive_meta(archive, "none"));
}

START_TEST(round_trip) {
    clm_archive *archive = small_archive();
    check_small(archive);
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    archive = load();
    check_small(archive);
    OK(clm_archive_save(archive, path)); /* over itself */
    clm_archive_free(archive);
    archive = load();
    check_small(archive);
    clm_archive_free(archive);
    ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(special_numbers) {
    clm_archive *archive;
    clm_shape shape = clm_shape_of(1, 6);
    double in[6] = {INFINITY, -INFINITY, NAN, FLT_MAX, FLT_TRUE_MIN, -0.0}, out[6];
    OK(clm_archive_create(&archive));
    OK(clm_archive_add(archive, "x", CLM_F32, &shape, in));
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    archive = load();
    OK(clm_archive_read(archive, "x", &shape, out, 6));
    ck_assert(out[0] == INFINITY && out[1] == -INFINITY && isnan(out[2]) && out[3] == FLT_MAX && out[4] == FLT_TRUE_MIN);
    ck_assert(out[5] == 0 && signbit(out[5]));
    clm_archive_free(archive);
}
END_TEST

START_TEST(replacing) {
    clm_archive *archive = small_archive();
    clm_shape one = clm_shape_of(1, 1);
    double out = 0;
    OK(clm_archive_add(archive, "single", CLM_F64, &one, (const double[]){5}));
    ck_assert_uint_eq(clm_archive_count(archive), 5);
    OK(clm_archive_read(archive, "single", &one, &out, 1));
    ck_assert_double_eq(out, 5);
    /* A value that does not fit leaves the old array. */
    ck_assert_int_eq(clm_archive_add(archive, "single", CLM_U8, &one, (const double[]){256}), CLM_E_ARG);
    SAYS("\"single\", element 0: 256");
    OK(clm_archive_read(archive, "single", &one, &out, 1));
    ck_assert_double_eq(out, 5);
    clm_archive_free(archive);
}
END_TEST

START_TEST(values_that_do_not_fit) {
    static const struct {
        clm_dtype dtype;
        double value;
    } rows[] = {{CLM_U8, -1},   {CLM_U8, 0.5},       {CLM_U8, NAN},  {CLM_I64, 1e16},
                {CLM_I64, 0.5}, {CLM_I64, INFINITY}, {CLM_F32, 1e39}};
    clm_archive *archive;
    clm_shape one = clm_shape_of(1, 1);
    OK(clm_archive_create(&archive));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_int_eq(clm_archive_add(archive, "x", rows[i].dtype, &one, &rows[i].value), CLM_E_ARG);
    ck_assert_int_eq(clm_archive_add(archive, "__metadata__", CLM_F32, &one, some), CLM_E_ARG);
    ck_assert_int_eq(clm_archive_add(archive, "\xff", CLM_F32, &one, some), CLM_E_ARG);
    ck_assert_int_eq(clm_archive_set_meta(archive, "k", "\xff"), CLM_E_ARG);
    ck_assert_uint_eq(clm_archive_count(archive), 0);
    clm_archive_free(archive);
}
END_TEST

START_TEST(mismatches) {
    clm_archive *archive = small_archive();
    double out[6];
    clm_shape wrong = clm_shape_of(2, 3, 2);
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    archive = load();
    ck_assert_int_eq(clm_archive_read(archive, "double", &wrong, out, 6), CLM_E_SHAPE);
    SAYS(path);
    SAYS("\"double\"");
    SAYS("[2, 3]");
    SAYS("[3, 2]");
    ck_assert_int_eq(clm_archive_read(archive, "double", NULL, out, 5), CLM_E_SHAPE);
    SAYS("6 elements");
    ck_assert_int_eq(clm_archive_read(archive, "theta", NULL, out, 5), CLM_E_FORMAT);
    SAYS("\"theta\"");
    clm_archive_free(archive);
}
END_TEST

/* ---- files made by hand ---- */

/* A file with this header and these bytes after it; the length is that of the header unless given. */
static void write_raw(const char *header, uint64_t length, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (length == 0) length = strlen(header);
    for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 255), file);
    fputs(header, file);
    if (size) fwrite(data, 1, size, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(element_types) {
    static const unsigned char data[] = {
        0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0xff, 0x7b, /* F16: 1, 2^-24, -inf, 65504 */
        0x80, 0x3f, 0x20, 0xc0,                         /* BF16: 1, -2.5 */
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x80, /* I32: -1, -2^31 */
        0x00, 0x01,                                     /* BOOL */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, /* I64: 2^53 */
    };
    clm_archive *archive;
    double out[4];
    write_raw("{\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
              "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
              "\"i\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[12,20]},"
              "\"t\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[20,22]},"
              "\"l\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[22,30]}}   ",
              0, data, sizeof(data));
    archive = load();
    OK(clm_archive_read(archive, "h", NULL, out, 4));
    ck_assert(out[0] == 1 && out[1] == ldexp(1, -24) && out[2] == -INFINITY && out[3] == 65504);
    OK(clm_archive_read(archive, "b", NULL, out, 2));
    ck_assert(out[0] == 1 && out[1] == -2.5);
    OK(clm_archive_read(archive, "i", NULL, out, 2));
    ck_assert(out[0] == -1 && out[1] == -2147483648.0);
    OK(clm_archive_read(archive, "t", NULL, out, 2));
    ck_assert(out[0] == 0 && out[1] == 1);
    OK(clm_archive_read(archive, "l", NULL, out, 1));
    ck_assert_double_eq(out[0], 9007199254740992.0);
    clm_archive_free(archive);
}
END_TEST

START_TEST(integers_beyond_doubles) {
    static const unsigned char data[] = {0x01, 0, 0, 0, 0, 0, 0x20, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xff};
    double out[2];
    write_raw("{\"n\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
              "\"m\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
              0, data, sizeof(data));
    clm_archive *archive = load();
    ck_assert_int_eq(clm_archive_read(archive, "n", NULL, out, 1), CLM_E_FORMAT);
    SAYS("\"n\", element 0");
    ck_assert_int_eq(clm_archive_read(archive, "m", NULL, out, 1), CLM_E_FORMAT);
    clm_archive_free(archive);
}
END_TEST

#define ENTRY(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"

static const struct {
    const char *header, *says;
    uint64_t length; /* 0: right */
} damaged[] = {
    {"{}", "16 bytes at its end belong to no array", 0},
    {"[]", "not a safetensors file", 0},
    {"{", "not a safetensors file", 0},
    {"{ }", "truncated", 20},
    {"{}", "not a safetensors file", UINT64_MAX},
    {"{}", "not a safetensors file", UINT64_C(1) << 40},
    {"{\"a\":}", "header is damaged", 0},
    {"{\"a\":{}}{", "header is damaged", 0},
    {"{\"a\":7}", "\"a\": its entry", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", "\"a\": its entry", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":1}}", "\"a\": its entry", 0},
    {"{\"a\":{\"dtype\":3,\"shape\":[4],\"data_offsets\":[0,16]}}", "\"a\": its entry", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", "\"shape\"", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":16}}", "\"data_offsets\"", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,0]}}", "\"data_offsets\"", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16.0]}}", "\"data_offsets\"", 0},
    {"{" ENTRY("a", "F31", "4", "0", "16") "}", "\"F31\"", 0},
    {"{" ENTRY("a", "F32", "-4", "0", "16") "}", "shape", 0},
    {"{" ENTRY("a", "F32", "4.0", "0", "16") "}", "shape", 0},
    {"{" ENTRY("a", "F32", "1,1,1,1,1,1,4", "0", "16") "}", "7 axes", 0},
    {"{" ENTRY("a", "F32", "4294967300", "0", "16") "}", "shape", 0},
    {"{" ENTRY("a", "F32", "2147483647,2147483647,2147483647", "0", "16") "}", "too many elements", 0},
    {"{" ENTRY("a", "F32", "99999999999999999999", "0", "16") "}", "header is damaged", 0},
    {"{" ENTRY("a", "F32", "3", "0", "16") "}", "takes 12 bytes, its data offsets span 16", 0},
    {"{" ENTRY("a", "F32", "4", "0", "17") "}", "end at byte 17", 0},
    {"{" ENTRY("a", "F32", "4", "16", "0") "}", "make no sense", 0},
    {"{" ENTRY("a", "F32", "4", "-16", "0") "}", "make no sense", 0},
    {"{" ENTRY("a", "F32", "2", "0", "8") "}", "8 bytes at its end", 0},
    {"{" ENTRY("a", "F32", "2", "8", "16") "}", "8 bytes before array \"a\"", 0},
    {"{" ENTRY("a", "F32", "3", "0", "12") "," ENTRY("b", "F32", "2", "8", "16") "}", "\"a\" and \"b\" overlap", 0},
    {"{" ENTRY("a", "F32", "2", "0", "8") "," ENTRY("a", "F32", "2", "8", "16") "}", "duplicate", 0},
    {"{\"__metadata__\":{\"k\":1}," ENTRY("a", "F32", "4", "0", "16") "}", "\"k\"", 0},
    {"{\"__metadata__\":[]," ENTRY("a", "F32", "4", "0", "16") "}", "__metadata__", 0},
    {"{" ENTRY("a\\u0000b", "F32", "4", "0", "16") "}", "header is damaged", 0},
};
enum { DAMAGED = sizeof(damaged) / sizeof(damaged[0]) };

START_TEST(damaged_headers) {
    clm_archive *archive = (clm_archive *)path;
    write_raw(damaged[_i].header, damaged[_i].length, some, 16);
    ck_assert_msg(clm_archive_load(&archive, path) == CLM_E_FORMAT, "%s: %s", damaged[_i].header, clm_last_error());
    ck_assert_ptr_null(archive);
    SAYS(path);
    SAYS(damaged[_i].says);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    clm_archive *archive = small_archive();
    char *data;
    size_t size;
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    OK(clm_file_read(path, &data, &size));
    ck_assert_uint_gt(size, 300);
    for (size_t length = 0; length < size; length++) {
        OK(clm_file_write(path, data, length));
        ck_assert_msg(clm_archive_load(&archive, path) == CLM_E_FORMAT, "cut to %zu of %zu bytes: accepted", length, size);
        ck_assert_ptr_null(archive);
        SAYS(path);
    }
    free(data);
}
END_TEST

/* Whatever one wrong byte does, the file is refused or read, and what is read can be looked at. A number is never read as another. */
START_TEST(every_flipped_byte_is_survived) {
    clm_archive *archive = small_archive();
    char *data;
    double out[64];
    size_t size;
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    OK(clm_file_read(path, &data, &size));
    const size_t numbers = 8 + (unsigned char)data[0] + 256 * (size_t)(unsigned char)data[1];
    ck_assert_uint_lt(numbers, size);
    for (size_t at = 0; at < size; at++) {
        data[at] ^= 1 << at % 8;
        OK(clm_file_write(path, data, size));
        if (clm_archive_load(&archive, path) == CLM_OK) {
            ck_assert_uint_lt(at, numbers);
            for (size_t i = 0; i < clm_archive_count(archive); i++) {
                const char *name = clm_archive_name(archive, i);
                size_t count = clm_shape_size(clm_archive_shape(archive, name));
                ck_assert_uint_le(count, 64);
                clm_status status = clm_archive_read(archive, name, NULL, out, count);
                ck_assert(status == CLM_OK || status == CLM_E_FORMAT);
            }
        } else {
            ck_assert_ptr_null(archive);
            if (at >= numbers) SAYS("numbers are not those that were written");
        }
        clm_archive_free(archive);
        data[at] ^= 1 << at % 8;
    }
    free(data);
}
END_TEST

/* Replaces `from` in the file by `to`, which is as long. */
static void replace(const char *from, const char *to) {
    char *data;
    size_t size, at = 0;
    OK(clm_file_read(path, &data, &size));
    while (at + strlen(from) <= size && memcmp(data + at, from, strlen(from)) != 0) at++;
    ck_assert_uint_le(at + strlen(from), size);
    memcpy(data + at, to, strlen(to));
    OK(clm_file_write(path, data, size));
    free(data);
}

/* Names, types and shapes count too; the order of the arrays does not; a file without a checksum has none to agree with. */
START_TEST(checksums) {
    static const unsigned char data[] = {0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64};
    static const char *const changes[][2] = {{"single", "singly"}, {"[2,3]", "[3,2]"}, {"\"I64\"", "\"F64\""}};
    clm_archive *archive;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        archive = small_archive();
        OK(clm_archive_save(archive, path));
        clm_archive_free(archive);
        replace(changes[i][0], changes[i][1]);
        ck_assert_msg(clm_archive_load(&archive, path) == CLM_E_FORMAT, "%s: accepted", changes[i][1]);
        SAYS(path);
        replace("clmaml.checksum", "clmaml.checksuX");
        OK(clm_archive_load(&archive, path));
        clm_archive_free(archive);
    }
    archive = small_archive();
    ck_assert_int_eq(clm_archive_set_meta(archive, "clmaml.checksum", "0"), CLM_E_ARG);
    ck_assert_ptr_null(clm_archive_meta(archive, "clmaml.checksum"));
    clm_archive_free(archive);

    /* The checksum of these three numbers, which is that of every machine; and the arrays the other way round. */
    for (int turned = 0; turned < 2; turned++) {
        char header[400];
        snprintf(header, sizeof(header),
                 "{\"__metadata__\":{\"clmaml.checksum\":\"%s\"},"
                 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%s]},"
                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%s]}}",
                 "3c16f7a9ac10b669", turned ? "4,12" : "0,8", turned ? "0,4" : "8,12");
        unsigned char bytes[sizeof(data)];
        memcpy(bytes + (turned ? 4 : 0), data, 8);
        memcpy(bytes + (turned ? 0 : 8), data + 8, 4);
        write_raw(header, 0, bytes, sizeof(bytes));
        archive = load();
        ck_assert_uint_eq(clm_archive_count(archive), 2);
        clm_archive_free(archive);
    }
}
END_TEST

START_TEST(missing_file) {
    clm_archive *archive;
    ck_assert_int_eq(clm_archive_load(&archive, path), CLM_E_IO);
    SAYS(path);
    ck_assert_int_eq(clm_archive_load(&archive, directory), CLM_E_IO);
    SAYS(directory);
}
END_TEST

/* ---- saving that fails ---- */

/* A limit on the size of files stands for a disk that is full. */
START_TEST(full_disk_keeps_the_old_file) {
    clm_archive *archive = small_archive();
    clm_shape big = clm_shape_of(1, 4096);
    double *zeros = calloc(4096, sizeof(*zeros));
    struct rlimit old, limit;
    OK(clm_archive_save(archive, path));
    OK(clm_archive_add(archive, "big", CLM_F64, &big, zeros));
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){4096, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    clm_status status = clm_archive_save(archive, path);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_eq(status, CLM_E_IO);
    SAYS("a.safetensors");
    clm_archive_free(archive);
    archive = load();
    check_small(archive);
    ck_assert_uint_eq(count_files(), 1);
    OK(clm_archive_add(archive, "big", CLM_F64, &big, zeros)); /* and with room again it works */
    OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    free(zeros);
}
END_TEST

START_TEST(nowhere_to_save) {
    char target[700];
    clm_archive *archive = small_archive();
    snprintf(target, sizeof(target), "%s/missing/a.safetensors", directory);
    ck_assert_int_eq(clm_archive_save(archive, target), CLM_E_IO);
    SAYS("missing");
    ck_assert_int_eq(clm_archive_save(archive, directory), CLM_E_IO); /* a directory is in the way */
    ck_assert_uint_eq(count_files(), 0);
    clm_archive_free(archive);
}
END_TEST

/* ---- reference files ---- */

static const char *const golden[] = {"attention_2step",   "conv4_c8_1step",   "conv4_c8_5step",    "conv4_c8_anil",
                                     "conv4_c8_lslr_msl", "conv4_c8_metasgd", "mlp_sine_1step",    "mlp_sine_5step",
                                     "mlp_sine_metasgd",  "smooth_mix_2step", "strided_gap_3step", "image_layers_2step",
                                     "token_layers_2step"};
enum { GOLDEN = sizeof(golden) / sizeof(golden[0]) };

/* The parameters that a file's layer list gives are those in the file, in the same order. */
START_TEST(reference_files_fit_their_models) {
    clm_archive *archive;
    clm_model *model;
    clm_text names = {0};
    char file[1200];
    const char *root = getenv("CLMAML_SOURCE_DIR");
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    snprintf(file, sizeof(file), "%s/tests/golden/%s.safetensors", root, golden[_i]);
    OK(clm_archive_load(&archive, file));
    OK(clm_model_parse(&model, clm_archive_meta(archive, "case"), NULL));
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const clm_param *p = clm_model_param(model, i);
        char *name = clm_format("param.%s", p->name);
        double *data = calloc(clm_shape_size(&p->shape), sizeof(*data));
        OK(clm_archive_read(archive, name, &p->shape, data, clm_shape_size(&p->shape)));
        clm_text_add(&names, "%s\"%s\"", i ? ", " : "[", p->name);
        free(data);
        free(name);
    }
    clm_text_add(&names, "]");
    ck_assert_str_eq(names.data, clm_archive_meta(archive, "params"));
    clm_text_free(&names);
    clm_model_free(model);
    clm_archive_free(archive);
}
END_TEST

/* ---- outer rate ---- */

START_TEST(outer_rate) {
    clm_optim_options options = CLM_OPTIM_OPTIONS_INIT;
    ck_assert_double_eq(clm_optim_rate(&options, 0), 1e-3);
    ck_assert_double_eq(clm_optim_rate(&options, UINT64_MAX), 1e-3);
    options.schedule = "cosine";
    options.schedule_updates = 100;
    options.lr_min = 1e-5;
    ck_assert_double_eq(clm_optim_rate(&options, 0), 1e-3);
    ck_assert_double_eq_tol(clm_optim_rate(&options, 50), (1e-3 + 1e-5) / 2, 1e-15);
    ck_assert_double_eq_tol(clm_optim_rate(&options, 25), 1e-5 + (1e-3 - 1e-5) * (1 + sqrt(0.5)) / 2, 1e-15);
    ck_assert_double_eq(clm_optim_rate(&options, 100), 1e-5);
    ck_assert_double_eq(clm_optim_rate(&options, 1000000), 1e-5);
    for (uint64_t t = 1; t <= 100; t++) ck_assert_double_lt(clm_optim_rate(&options, t), clm_optim_rate(&options, t - 1));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("archive");
    TCase *arrays = tcase_create("archives"), *rest = tcase_create("reference files and rates");
    tcase_add_checked_fixture(arrays, set_up, tear_down);
    tcase_set_timeout(arrays, 60); /* hundreds of synced files */
    tcase_add_test(arrays, round_trip);
    tcase_add_test(arrays, special_numbers);
    tcase_add_test(arrays, replacing);
    tcase_add_test(arrays, values_that_do_not_fit);
    tcase_add_test(arrays, mismatches);
    tcase_add_test(arrays, element_types);
    tcase_add_test(arrays, integers_beyond_doubles);
    tcase_add_loop_test(arrays, damaged_headers, 0, DAMAGED);
    tcase_add_test(arrays, every_truncation_is_refused);
    tcase_add_test(arrays, every_flipped_byte_is_survived);
    tcase_add_test(arrays, checksums);
    tcase_add_test(arrays, missing_file);
    tcase_add_test(arrays, full_disk_keeps_the_old_file);
    tcase_add_test(arrays, nowhere_to_save);
    tcase_add_loop_test(rest, reference_files_fit_their_models, 0, GOLDEN);
    tcase_add_test(rest, outer_rate);
    suite_add_tcase(suite, arrays);
    suite_add_tcase(suite, rest);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
