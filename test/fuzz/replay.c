// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Gives a fuzz target the files that are named, and those of the folders that are named. It fails if there is
 * none. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 20 };

static unsigned replayed;

static void replay(const char *path)
{
    static char input[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    const size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last line before an end says what caused it */
    LLVMFuzzerTestOneInput((const uint8_t *)input, size);
    replayed++;
}

static void replay_folder(DIR *folder, const char *path)
{
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        replay(name);
    }
    closedir(folder);
}

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        DIR *folder = opendir(paths[i]);
        if (folder)
            replay_folder(folder, paths[i]);
        else
            replay(paths[i]);
    }
    printf("%u inputs\n", replayed);
    return replayed ? EXIT_SUCCESS : EXIT_FAILURE;
}
