/* A trained model inside a program: learns the classes in a folder, a folder of pictures for each, and names a picture.
 *
 * usage: predict RUN SUPPORT_FOLDER PICTURE [DEVICE]
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(void) {
    fprintf(stderr, "%s\n", clm_last_error());
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    clm_device *device;
    clm_source *examples;
    clm_learner *learner;
    clm_preparation how;
    clm_archive *run;
    clm_folder_options folder = CLM_FOLDER_OPTIONS_INIT;
    clm_load_options load = CLM_LOAD_OPTIONS_INIT;
    char file[4096], name[256];
    if (argc < 4) return fprintf(stderr, "usage: %s RUN SUPPORT_FOLDER PICTURE [DEVICE]\n", argv[0]), EXIT_FAILURE;
    snprintf(file, sizeof file, "%s/checkpoints/best.safetensors", argv[1]);
    if (clm_device_open(&device, argc > 4 ? argv[4] : NULL) || clm_archive_load(&run, file)) return fail();
    if (clm_archive_get_preparation(run, &how)) return fail();
    folder.size = how.size, folder.channels = how.channels, folder.fit = how.fit;
    folder.invert = how.invert, folder.background = how.background;
    folder.class_split[0] = SIZE_MAX; /* all classes in one split */
    if (clm_source_folder_open(&examples, argv[2], &folder)) return fail();
    load.ways = (int)clm_source_classes(examples, CLM_SPLIT_TRAIN);
    for (int c = 0; c < load.ways; c++) load.support += (int)clm_source_examples(examples, CLM_SPLIT_TRAIN, (size_t)c);
    if (clm_learner_load_archive(&learner, device, run, &load)) return fail();

    const size_t size = (size_t)how.channels * (size_t)how.size * (size_t)how.size, area = size / (size_t)how.channels;
    float *x = malloc((size_t)load.support * size * sizeof *x), *y = malloc((size_t)load.support * sizeof *y);
    double *scores = malloc((size_t)load.ways * sizeof *scores);
    if (!x || !y || !scores) return fprintf(stderr, "out of memory\n"), EXIT_FAILURE;
    for (int c = 0, n = 0; c < load.ways; c++)
        for (size_t e = 0; e < clm_source_examples(examples, CLM_SPLIT_TRAIN, (size_t)c); e++, n++) {
            float *at = x + (size_t)n * size;
            if (clm_source_image(examples, CLM_SPLIT_TRAIN, (size_t)c, e, at)) return fail();
            for (size_t i = 0; i < size; i++) at[i] = (float)((at[i] - how.mean[i / area]) / how.deviation[i / area]);
            y[n] = (float)c;
        }
    if (clm_learner_adapt(learner, x, y) || clm_image_read(argv[3], &how, x)) return fail();
    if (clm_learner_predict(learner, x, 1, scores)) return fail();
    int best = 0;
    for (int c = 1; c < load.ways; c++)
        if (scores[c] > scores[best]) best = c;
    printf("%s: %s\n", argv[3], clm_source_class_name(examples, CLM_SPLIT_TRAIN, (size_t)best, name, sizeof name));
    free(x), free(y), free(scores);
    clm_learner_free(learner), clm_source_free(examples), clm_archive_free(run), clm_device_close(device);
    return EXIT_SUCCESS;
}
