// SPDX-License-Identifier: Apache-2.0
/* embed: writes files as byte arrays of a C file.
 *
 *     embed OUT.c NAME=FILE...
 *
 * OUT.c defines `const struct embedded embedded_files[]`, ended by a row without a name. Each text has a final NUL.
 */
#include <stdio.h>
#include <string.h>

static int embed(FILE *out, const char *path, int number)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        fprintf(stderr, "embed: cannot read %s\n", path);
        return 1;
    }
    fprintf(out, "static const unsigned char file_%d[] = {", number);
    int c;
    for (long i = 0; (c = getc(in)) != EOF; i++)
        fprintf(out, "%s%d,", i % 32 ? "" : "\n", c);
    fprintf(out, "0};\n");
    return fclose(in);
}

int main(int argc, char **argv)
{
    FILE *out = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (!out)
        return 1;
    fprintf(out, "#include \"mmoec.h\"\n");
    int status = 0;
    for (int i = 2; i < argc; i++)
        status |= embed(out, strchr(argv[i], '=') + 1, i);
    fprintf(out, "const struct embedded embedded_files[] = {\n");
    for (int i = 2; i < argc; i++)
        fprintf(out, "{\"%.*s\", (const char *)file_%d, sizeof file_%d - 1},\n", (int)strcspn(argv[i], "="), argv[i], i, i);
    fprintf(out, "{0}};\n");
    return fclose(out) != 0 || status;
}
