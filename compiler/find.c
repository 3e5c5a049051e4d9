// SPDX-License-Identifier: Apache-2.0
/* find.c: which checkpoint a path means.
 *
 * A prefix is itself; a directory means the largest step of its model.ckpt-<step>.index, as EasyRec's
 * latest_checkpoint does (never the file `checkpoint`, whose paths may be stale), or, in a SavedModel, its
 * variables. Left-overs of an interrupted save are not checkpoints.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "mmoec.h"

#define EXPORTED "variables/variables"
#define LOOKED_FOR "model.ckpt-<step>.index and " EXPORTED ".index"

/* The step's digits in model.ckpt-<step>.index, and how many; NULL: another name, such as the
   left-overs of an interrupted save (model.ckpt-60_temp_..., ....tempstate...). */
static const char *step_of(const char *name, size_t *digits)
{
    static const char before[] = "model.ckpt-";
    if (strncmp(name, before, sizeof(before) - 1) != 0)
        return NULL;
    const char *step = name + sizeof(before) - 1;
    *digits = strspn(step, "0123456789");
    if (!*digits || strcmp(step + *digits, ".index") != 0)
        return NULL;
    for (; *digits > 1 && *step == '0'; --*digits)
        step++;
    return step;
}

/* Steps are compared as numbers of any length. */
static bool is_later(const char *name, const char *than)
{
    size_t n, m;
    const char *a = step_of(name, &n), *b = step_of(than, &m);
    if (!a || !b)
        return a != NULL;
    return n != m ? n > m : strncmp(a, b, n) > 0;
}

/* What a directory holds. It is scanned without allocation, which would leave it open if it
   failed. */
struct found {
    bool exported;                          /* saved_model.pb or variables/variables.index */
    bool variables;                         /* the latter */
    char latest[NAME_MAX + 1];              /* model.ckpt-60.index, or empty */
    char other[NAME_MAX + 1];               /* another .index, or empty */
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n > k && strcmp(text + n - k, suffix) == 0;
}

static bool scan(const char *dir, struct found *found)
{
    DIR *d = opendir(dir);
    *found = (struct found){ 0 };
    if (!d)
        return false;
    found->variables = faccessat(dirfd(d), EXPORTED ".index", F_OK, 0) == 0;
    found->exported = found->variables || faccessat(dirfd(d), "saved_model.pb", F_OK, 0) == 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (is_later(e->d_name, found->latest))
            snprintf(found->latest, sizeof(found->latest), "%s", e->d_name);
        else if (ends_with(e->d_name, ".index") && !strstr(e->d_name, "temp"))
            snprintf(found->other, sizeof(found->other), "%s", e->d_name);
    }
    closedir(d);
    return true;
}

bool has_checkpoint(const char *dir)
{
    struct found f;
    return scan(dir, &f) && (f.variables || f.latest[0]);
}

static const char *without_index(struct job *job, const char *path)
{
    return arena_copy(&job->arena, path, strlen(path) - strlen(".index"));
}

static const char *find_in_directory(struct job *job, const char *dir)
{
    struct found f;
    const char *hint = "give the checkpoint itself: --weights DIR/model.ckpt-1000";
    if (!scan(dir, &f)) {
        bool memory = errno == ENOMEM;
        blame(job, memory ? SYSTEM_FAILED : BAD_INPUT, in_file(job, dir), memory ? "memory" : "file", NULL,
              memory ? "out of memory" : "the directory cannot be read");
        return NULL;
    }
    if (f.variables)
        return join_path(job, dir, EXPORTED);
    if (f.latest[0] && !f.exported)
        return without_index(job, join_path(job, dir, f.latest));
    if (f.other[0])
        hint = arena_print(&job->arena, "if %s is meant: --weights %s", f.other,
                           without_index(job, join_path(job, dir, f.other)));
    blame(job, BAD_INPUT, in_file(job, dir), "file", hint, f.exported
              ? "is a SavedModel without " EXPORTED ".index"
              : "there is no checkpoint: looked for " LOOKED_FOR);
    return NULL;
}

const char *find_checkpoint(struct job *job, const char *path)
{
    if (!path)
        return NULL;
    if (is_directory(path))
        return find_in_directory(job, path);
    if (ends_with(path, ".index"))
        path = without_index(job, path);
    const char *index = arena_print(&job->arena, "%s.index", path);
    if (access(index, F_OK) == 0)
        return path;
    if (access(path, F_OK) == 0)
        blame(job, BAD_INPUT, in_file(job, path), "format",
              "give what stands before .index: model_dir/model.ckpt-1000",
              "is not a TensorFlow V2 checkpoint: there is no %s", base_name(index));
    else
        blame(job, BAD_INPUT, in_file(job, index), "file",
              "give a model directory, or what stands before .index: model_dir/model.ckpt-1000",
              "there is no such file");
    return NULL;
}

/* ---- what a watched directory holds ---- */

static bool number_of(const char *digits, size_t n, uint64_t *to)
{
    if (n == 0 || n > 19) /* 10^19 is below 2^64 */
        return false;
    for (*to = 0; n--; digits++)
        *to = *to * 10 + (uint64_t)(*digits - '0');
    return true;
}

/* The name of an export is a number, the seconds when it was made; a temporary one has other
   characters. Its index is there once it is complete, or nearly so. */
static bool is_export(int dir, const char *name, uint64_t *number)
{
    char index[NAME_MAX + sizeof "/" EXPORTED ".index"];
    size_t n = strspn(name, "0123456789");
    if (name[n] || !number_of(name, n, number))
        return false;
    snprintf(index, sizeof(index), "%s/" EXPORTED ".index", name);
    return faccessat(dir, index, F_OK, 0) == 0;
}

/* dir/model.ckpt-60, or dir/1700000000/variables/variables */
uint64_t checkpoint_number(struct job *job, const char *prefix)
{
    uint64_t number = 0;
    size_t n, length = strlen(prefix), below = sizeof("/" EXPORTED) - 1;
    const char *step = step_of(arena_print(&job->arena, "%s.index", base_name(prefix)), &n);
    if (step)
        return number_of(step, n, &number) ? number : 0;
    if (length <= below || strcmp(prefix + length - below, "/" EXPORTED) != 0)
        return 0;
    const char *dir = base_name(arena_copy(&job->arena, prefix, length - below));
    n = strspn(dir, "0123456789");
    return !dir[n] && number_of(dir, n, &number) ? number : 0;
}

bool find_latest(const char *dir, struct latest *to)
{
    DIR *d = opendir(dir);
    *to = (struct latest){ 0 };
    if (!d)
        return false;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n;
        uint64_t number = 0;
        const char *step = step_of(e->d_name, &n);
        bool checkpoint = step && number_of(step, n, &number);
        bool export = !checkpoint && is_export(dirfd(d), e->d_name, &number);
        if ((checkpoint || export) && (!to->found || number > to->number))
            *to = (struct latest){ true, export, number };
    }
    closedir(d);
    return true;
}
