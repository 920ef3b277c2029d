/* JPEG by libjpeg-turbo: baseline and progressive, grey, YCbCr, RGB, CMYK. CMYK becomes RGB without a colour profile, ink by
 * ink, as Pillow does it. What libjpeg only warns of is let pass, as everywhere, but for a file that ends early, the rest of
 * which would be grey. */
#ifdef CLMAML_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "data/codec/codec.h"

typedef struct failure {
    struct jpeg_error_mgr base; /* the first member: libjpeg knows it alone */
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
    bool early;
} failure;

static void on_error(j_common_ptr jpeg) {
    failure *f = (failure *)jpeg->err;
    jpeg->err->format_message(jpeg, f->text);
    longjmp(f->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level) {
    failure *f = (failure *)jpeg->err;
    if (level < 0 && (jpeg->err->msg_code == JWRN_JPEG_EOF || jpeg->err->msg_code == JWRN_HIT_MARKER)) f->early = true;
}

/* Every scan goes over the whole picture, and costs a file a few bytes. */
enum { SCANS = 256 };

static void on_progress(j_common_ptr jpeg) {
    if (((j_decompress_ptr)jpeg)->input_scan_number <= SCANS) return;
    snprintf(((failure *)jpeg->err)->text, JMSG_LENGTH_MAX, "more than %d scans", SCANS);
    longjmp(((failure *)jpeg->err)->jump, 1);
}

static void find_orientation(const struct jpeg_decompress_struct *jpeg, int *orientation) {
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
            *orientation = clm_exif_orientation(m->data, m->data_length);
}

/* Ink to light; Adobe's files hold 255 minus the ink. */
static void cmyk_to_rgb(const uint8_t *from, size_t count, bool inverted, uint8_t *to) {
    for (size_t i = 0; i < count; i++, from += 4, to += 3) {
        const unsigned black = inverted ? from[3] : 255u - from[3];
        for (int c = 0; c < 3; c++) to[c] = (uint8_t)(((inverted ? from[c] : 255u - from[c]) * black + 127) / 255);
    }
}

static void read_rows(struct jpeg_decompress_struct *jpeg, clm_image *image) {
    const size_t width = jpeg->output_width, row = width * (size_t)image->channels;
    const bool cmyk = jpeg->out_color_space == JCS_CMYK;
    JSAMPARRAY inks = cmyk ? jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, (JDIMENSION)(4 * width), 1) : NULL;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW to = image->pixels + jpeg->output_scanline * row;
        jpeg_read_scanlines(jpeg, cmyk ? inks : &to, 1);
        if (cmyk) cmyk_to_rgb(inks[0], width, jpeg->saw_Adobe_marker, to);
    }
}

/* Jumps to whoever has set the jump when libjpeg gives up. */
static clm_status read_picture(struct jpeg_decompress_struct *jpeg, struct jpeg_progress_mgr *progress, const uint8_t *data,
                               size_t size, clm_image *image, int *orientation) {
    const failure *f = (const failure *)jpeg->err;
    jpeg_create_decompress(jpeg);
    jpeg->progress = progress;
    jpeg_mem_src(jpeg, (unsigned char *)(uintptr_t)data, (unsigned long)size); /* older ones lack the const */
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    find_orientation(jpeg, orientation);
    const bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    const bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = grey ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
    CLM_TRY(clm_codec_begin(image, jpeg->image_width, jpeg->image_height, grey ? 1 : 3, size));
    jpeg_start_decompress(jpeg);
    read_rows(jpeg, image);
    jpeg_finish_decompress(jpeg);
    return f->early ? clm_fail(CLM_E_FORMAT, "a damaged JPEG picture (it ends early)") : CLM_OK;
}

clm_status clm_codec_jpeg(clm_image *image, const uint8_t *data, size_t size, int *orientation) {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
    failure f;
    memset(&jpeg, 0, sizeof jpeg);
    memset(&f, 0, sizeof f);
    jpeg.err = jpeg_std_error(&f.base);
    f.base.error_exit = on_error;
    f.base.emit_message = on_message;
    volatile clm_status status = CLM_OK;
    if (setjmp(f.jump))
        status = clm_fail(CLM_E_FORMAT, "a damaged JPEG picture (%s)", f.text);
    else
        status = read_picture(&jpeg, &progress, data, size, image, orientation);
    jpeg_destroy_decompress(&jpeg);
    return status;
}
#else
typedef int clm_no_jpeg; /* a file must hold something */
#endif
