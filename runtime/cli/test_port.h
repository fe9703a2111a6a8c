/* test_port.h: where the rows of a test may go in and come out. */
#ifndef MRI_TEST_PORT_H
#define MRI_TEST_PORT_H

#include "cli/test_script.h"

/* Fills the ports of the script from its plan and test. */
void mri_script_ports(mr_arena *arena, mri_script *script);
/* The port that `name` means (NULL: the only or usual one); NULL after a diagnostic. */
const mri_script_port *mri_script_port_find(const mri_script *script, bool input, const char *name,
                                            mr_pos at, uint32_t width, mri_diags *diags);

#endif
