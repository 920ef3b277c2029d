/* The first frame of a GIF by giflib, on the canvas that the file names; what the frame leaves free is transparent. */
#ifdef CLMAML_HAVE_GIF
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "base/memory.h"
#include "data/codec/codec.h"

typedef struct reader {
    const uint8_t *data;
    size_t size, at;
} reader;

static int on_read(GifFileType *gif, GifByteType *to, int size) {
    reader *r = gif->UserData;
    const size_t left = r->size - r->at, got = (size_t)size < left ? (size_t)size : left;
    memcpy(to, r->data + r->at, got);
    r->at += got;
    return (int)got;
}

static clm_status damaged(const GifFileType *gif, int code) {
    const char *text = GifErrorString(gif ? gif->Error : code);
    return clm_fail(CLM_E_FORMAT, "a damaged GIF picture (%s)", text ? text : "it ends early");
}

/* Up to the first frame; the colour that is transparent in it, or -1. */
static clm_status find_frame(GifFileType *gif, int *transparent) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    *transparent = NO_TRANSPARENT_COLOR;
    for (;;) {
        GifByteType *block = NULL;
        int code = 0;
        if (DGifGetRecordType(gif, &type) != GIF_OK) return damaged(gif, 0);
        if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) == GIF_OK ? CLM_OK : damaged(gif, 0);
        if (type == TERMINATE_RECORD_TYPE) return clm_fail(CLM_E_FORMAT, "a GIF picture without a frame");
        if (DGifGetExtension(gif, &code, &block) != GIF_OK) return damaged(gif, 0);
        for (bool first = true; block; first = false) {
            GraphicsControlBlock control;
            if (first && code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
                *transparent = control.TransparentColor;
            if (DGifGetExtensionNext(gif, &block) != GIF_OK) return damaged(gif, 0);
        }
    }
}

/* One line of the frame, cut to the canvas. */
static clm_status place_line(const GifFileType *gif, const ColorMapObject *map, int transparent, const GifPixelType *line,
                             int y, clm_image *image) {
    const GifImageDesc *frame = &gif->Image;
    for (int x = 0; x < frame->Width; x++) {
        const int at = frame->Left + x;
        if (line[x] >= map->ColorCount)
            return clm_fail(CLM_E_FORMAT, "a damaged GIF picture (a colour that is not in its table)");
        if (at >= image->width || frame->Top + y >= image->height || line[x] == transparent) continue;
        const GifColorType *colour = &map->Colors[line[x]];
        uint8_t *to = image->pixels + ((size_t)(frame->Top + y) * (size_t)image->width + (size_t)at) * 4;
        to[0] = colour->Red, to[1] = colour->Green, to[2] = colour->Blue, to[3] = 255;
    }
    return CLM_OK;
}

static clm_status read_frame(GifFileType *gif, int transparent, clm_image *image) {
    static const int first[4] = {0, 4, 2, 1}, every[4] = {8, 8, 4, 2}; /* lines of the four passes when interlaced */
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    const int width = gif->Image.Width, passes = gif->Image.Interlace ? 4 : 1;
    if (!map || width < 1 || gif->Image.Height < 1) return clm_fail(CLM_E_FORMAT, "a GIF picture without colours or pixels");
    CLM_TRY(clm_codec_begin(image, (uint64_t)gif->SWidth, (uint64_t)gif->SHeight, 4, ((const reader *)gif->UserData)->size));
    memset(image->pixels, 0, (size_t)image->width * (size_t)image->height * 4);
    GifPixelType *line = clm_calloc((size_t)width, sizeof *line);
    clm_status status = line ? CLM_OK : CLM_E_MEMORY;
    for (int pass = 0; pass < passes && status == CLM_OK; pass++)
        for (int y = passes == 4 ? first[pass] : 0; y < gif->Image.Height && status == CLM_OK;
             y += passes == 4 ? every[pass] : 1)
            status =
                DGifGetLine(gif, line, width) == GIF_OK ? place_line(gif, map, transparent, line, y, image) : damaged(gif, 0);
    free(line);
    return status;
}

clm_status clm_codec_gif(clm_image *image, const uint8_t *data, size_t size, int *orientation) {
    reader r = {data, size, 0};
    int code = 0, transparent;
    (void)orientation; /* GIF has none */
    GifFileType *gif = DGifOpen(&r, on_read, &code);
    if (!gif) return damaged(NULL, code);
    clm_status status = find_frame(gif, &transparent);
    if (status == CLM_OK) status = read_frame(gif, transparent, image);
    DGifCloseFile(gif, &code);
    return status;
}
#else
typedef int clm_no_gif; /* a file must hold something */
#endif
