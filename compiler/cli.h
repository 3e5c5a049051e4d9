// SPDX-License-Identifier: Apache-2.0
/* cli.h: the command line, between main.c and cli.c. */
#ifndef CLI_H
#define CLI_H

#include "mmoec.h"

/* What main is to do after the command line was read. */
enum todo { RUN, SAID, WRONG };

/* Fills *o, whose strings point into argv. SAID: --help, --version or --man was printed to `to`; WRONG: a message was
   given through the job. */
enum todo read_command_line(struct job *job, int argc, char **argv, struct options *o, FILE *to);

#endif
