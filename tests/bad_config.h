// SPDX-License-Identifier: Apache-2.0
/* Wrong configs, those in tests/bad, which carry what is expected of them in comments:
 *
 *     # exit: 1                          the job's result
 *     # permissive                       read with --permissive
 *     # expect: 3:5: error: unknown field "expert_num" in mmoe [unknown-field]
 *     # hint: did you mean "num_expert"? --permissive skips it
 *
 * One `expect` a message, in order, none missing and none too many; `LINE:COLUMN: ` is left out for
 * a message about the file as a whole. A `hint` belongs to the `expect` above it and is optional. A
 * file without `expect` must give no message.
 */
#ifndef BAD_CONFIG_H
#define BAD_CONFIG_H

#include "one_job.h"

#include <glob.h>

/* A message as bad configs and tables spell it. */
static const char *spelled(const struct message *m)
{
    static const char *const word[] = {"note", "warning", "error"};
    struct text t = {.arena = &job.arena};
    if (m->pos.line)
        text_print(&t, "%d:%d: ", m->pos.line, m->pos.column);
    text_print(&t, "%s: %s", word[m->severity], m->text);
    if (m->tag)
        text_print(&t, " [%s]", m->tag);
    return t.data;
}

/* The rest of a line that starts with `word`; NULL if it does not. In the arena. */
static const char *after_word(const char *line, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(line, word, n) != 0)
        return NULL;
    return arena_copy(&job.arena, line + n, strcspn(line + n, "\n"));
}

static const char *next_line(const char *line)
{
    line = strchr(line, '\n');
    return line ? line + 1 : NULL;
}

/* Holds the job's messages against the comments of the text. */
static void check_messages(const char *text, const char *path)
{
    const struct message *m = job.messages, *last = NULL;
    const char *expected;
    for (const char *line = text; line; line = next_line(line)) {
        if ((expected = after_word(line, "# expect: ")) != NULL) {
            if (!m)
                fail_msg("%s: missing: %s", path, expected);
            if (strcmp(spelled(m), expected) != 0)
                fail_msg("%s:\nexpected %s\ngot      %s", path, expected, spelled(m));
            last = m;
            m = m->next;
        } else if ((expected = after_word(line, "# hint: ")) != NULL) {
            const char *hint = last && last->hint ? last->hint : "(none)";
            if (strcmp(hint, expected) != 0)
                fail_msg("%s:\nexpected hint %s\ngot           %s", path, expected, hint);
        } else if ((expected = after_word(line, "# exit: ")) != NULL) {
            if ((int)job.result != atoi(expected))
                fail_msg("%s: expected exit %s, got %d", path, expected, job.result);
        }
    }
    if (m)
        fail_msg("%s: not expected: %s", path, spelled(m));
}

/* Reads all files of a pattern, each after clear(); accepts() says whether one gave something. */
static void check_bad_configs(const char *pattern, bool (*accepts)(const struct source *))
{
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        clear();
        const struct source *s = read_source(&job, found.gl_pathv[i]);
        assert_non_null(s);
        options.permissive = strstr(s->text, "\n# permissive\n") != NULL;
        bool accepted = accepts(s);
        assert_int_equal(accepted, job.errors == 0);
        check_messages(s->text, found.gl_pathv[i]);
    }
    globfree(&found);
}

#endif
