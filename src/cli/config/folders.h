/* Data of the user's own: folders of pictures and arrays. */
#ifndef CLI_FOLDERS_H
#define CLI_FOLDERS_H

#include "config/settings.h"

/* Does a file's name end so, in whatever letters? `end` in small ones. */
bool cli_ends_with(const char *name, const char *end);
/* Is it a .npz or .npy file, or a folder with x.npy? */
bool cli_is_arrays(const char *path);

/* Opens what the settings name, with progress on stderr where it takes time. */
clm_status cli_folder_open(clm_source **out, const cli_settings *settings);

/* Omniglot with the same progress, which the options are given. */
clm_status cli_folder_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options);

/* --class-split: up to three numbers of classes. */
clm_status cli_class_split_parse(const char *text, size_t split[3]);

/* What "auto" turned out to be, so that a run is stored with it. */
void cli_folder_settle(cli_settings *settings, const clm_source *source);

/* What was left out of the data and why, a note a line. */
void cli_folder_print_notes(const clm_source *source);

#endif
