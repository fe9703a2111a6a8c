/* support_avro.h: Avro through avro-c, for tests. */
#ifndef SUPPORT_AVRO_H
#define SUPPORT_AVRO_H

#include <avro.h>
#include <stdbool.h>

#include "base/text.h"

/* A random record schema of `fields` fields named f0, f1, ...; nested ones have arrays, maps and
 * records inside. */
void support_avro_schema(mri_text *out, uint32_t fields, bool nested);
/* The schema's text, read by avro-c; fails the test where that fails. */
avro_schema_t support_avro_parse(const char *text, size_t size);
/* A value filled at random. */
void support_avro_fill(avro_value_t *value);
/* Binary form in a new buffer of exactly its size. */
char *support_avro_bytes(avro_value_t *value, size_t *size);

#endif
