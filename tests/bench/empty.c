/* empty.c: a program that does nothing, linked to the libraries of millrace: what of `--version` is
 * theirs, no program that is linked to them can be without. */
int main(void) {
    return 0;
}
