/* memory.h: the libraries of this folder get their memory as the rest of the runtime does. */
#ifndef MRI_CODEC_MEMORY_H
#define MRI_CODEC_MEMORY_H

/* Before the first use of jansson or avro-c, which would report that they have no memory as if the
 * schema or the record were wrong, and on_error would skip it. Any thread, any number of times. */
void mri_codec_memory(void);

#endif
