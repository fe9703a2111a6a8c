/* main.c: the program. */
#include "cli/cli.h"

extern char **environ;

int main(int argc, char **argv) {
    return mri_cli_main(argc, (const char *const *)argv, (const char *const *)environ, MR_VERSION);
}
