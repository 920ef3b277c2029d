"""The functions of the library that the package calls, as their headers declare them.

A test compares every line with include/clmaml. Structures and constants are not here: the library tells them.
"""

_TEXT = """
bool clm_binding_structure_at(size_t index, const char **name, size_t *size, const void **initial);
bool clm_binding_field_at(const char *structure, size_t index, const char **name, const char **type, size_t *offset, size_t
    *size);
bool clm_binding_constant_at(size_t index, const char **name, int *value);

const char *clm_status_name(clm_status status);
const char *clm_last_error(void);
const char *clm_version(void);
const char *clm_build_description(void);

clm_status clm_device_open(clm_device **out, const char *spec);
void clm_device_close(clm_device *device);
const clm_device_info *clm_device_get_info(const clm_device *device);
clm_status clm_device_list(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size);
void clm_device_list_free(clm_device_info *list);
size_t clm_device_allocated(const clm_device *device);

clm_status clm_model_parse(clm_model **out, const char *json, const clm_shape *in_shape);
clm_status clm_model_load(clm_model **out, const char *path, const clm_shape *in_shape);
clm_status clm_model_conv4(clm_model **out, const clm_conv4_options *options);
clm_status clm_model_mlp(clm_model **out, int in, const int *hidden, size_t n_hidden, int n_out);
void clm_model_free(clm_model *model);
size_t clm_model_param_count(const clm_model *model);
const clm_param *clm_model_param(const clm_model *model, size_t i);
clm_shape clm_model_in_shape(const clm_model *model);
clm_shape clm_model_out_shape(const clm_model *model);
const char *clm_model_json(const clm_model *model);
clm_status clm_model_check_tokens(const clm_model *model, const float *x, size_t n);

clm_status clm_source_sine(clm_source **out);
clm_status clm_source_glyphs(clm_source **out, int size);
clm_status clm_source_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options);
clm_status clm_source_folder_open(clm_source **out, const char *path, const clm_folder_options *options);
clm_status clm_source_table_open(clm_source **out, const char *path, const clm_table_options *options);
bool clm_source_get_preparation(const clm_source *source, clm_preparation *out);
void clm_source_free(clm_source *source);
clm_shape clm_source_example_shape(const clm_source *source);
clm_shape clm_source_target_shape(const clm_source *source);
const char *clm_source_description(const clm_source *source);
clm_status clm_source_check(const clm_source *source, clm_split split, int ways, int shots, int query);
clm_status clm_source_sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways, int shots,
    int query, float *support_x, float *support_y, float *query_x, float *query_y);

clm_status clm_meta_create(clm_meta **out, clm_device *device, const clm_model *model, const clm_meta_options *options);
void clm_meta_free(clm_meta *meta);
clm_meta_plan clm_meta_get_plan(const clm_meta *meta);
clm_shape clm_meta_target_shape(const clm_meta *meta);
clm_status clm_meta_set_params(clm_meta *meta, clm_params *params);
clm_status clm_meta_get_params(clm_meta *meta, clm_params *params);
size_t clm_meta_rate_size(const clm_meta *meta, size_t i);
size_t clm_meta_param_count(const clm_meta *meta);
void clm_meta_set_dropout_seed(clm_meta *meta, uint64_t seed);
clm_status clm_meta_gradient(clm_meta *meta, const clm_batch *batch);
size_t clm_meta_quantity_size(const clm_meta *meta, clm_quantity what, size_t index);
clm_status clm_meta_read(clm_meta *meta, clm_quantity what, size_t index, double *out);
clm_status clm_meta_step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report);
clm_status clm_meta_save(clm_meta *meta, clm_archive *archive);
clm_status clm_meta_restore(clm_meta *meta, const clm_archive *archive);
uint64_t clm_meta_iteration(const clm_meta *meta);

clm_status clm_params_create(clm_params **out, const clm_model *model, const clm_task_options *options);
void clm_params_free(clm_params *params);
size_t clm_params_count(const clm_params *params);
clm_params_info clm_params_get_info(const clm_params *params, size_t i);
double *clm_params_values(clm_params *params, size_t i);
clm_status clm_params_reset(clm_params *params, uint64_t seed);

clm_status clm_learner_load(clm_learner **out, clm_device *device, const char *path, const clm_load_options *options);
clm_status clm_learner_load_archive(clm_learner **out, clm_device *device, const clm_archive *archive, const clm_load_options
    *options);
void clm_learner_free(clm_learner *learner);
clm_learner_info clm_learner_get_info(const clm_learner *learner);
const char *clm_learner_class_name(const clm_learner *learner, size_t i);
clm_status clm_learner_adapt(clm_learner *learner, const float *support_x, const float *support_y);
clm_status clm_learner_predict(clm_learner *learner, const float *query_x, size_t n, double *out);
clm_status clm_learner_get_adapted(clm_learner *learner, size_t i, double *out);
clm_status clm_learner_save(clm_learner *learner, const char *path, const char *const *names);
clm_status clm_learner_describe(clm_archive *archive, const clm_model *model, const clm_task_options *options, int shots, int
    steps, const clm_preparation *preparation);
clm_status clm_image_read(const char *path, const clm_preparation *preparation, float *out);

clm_status clm_archive_create(clm_archive **out);
clm_status clm_archive_load(clm_archive **out, const char *path);
clm_status clm_archive_save(const clm_archive *archive, const char *path);
void clm_archive_free(clm_archive *archive);

clm_status clm_export(const clm_archive *adapted, const char *format, const char *path, const clm_export_options *options);
"""

#: One prototype each, on one line.
PROTOTYPES = [" ".join(prototype.split()) + ";" for prototype in _TEXT.split(";") if prototype.strip()]
