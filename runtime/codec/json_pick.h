/* json_pick.h: single values out of a JSON text. */
#ifndef MRI_JSON_PICK_H
#define MRI_JSON_PICK_H

#include "millrace/source.h"

/* mr_io's json_pick: paths are member names and array indices joined by dots ("data.0.p"). False:
 * the text is not one valid JSON value, or a value that a path names stands twice. */
bool mri_json_pick(const char *text, uint32_t size, const char *const *paths, uint32_t count,
                   mr_json_value *out);

#endif
