/* Text that grows while it is written; for the library's own files. */
#ifndef SANDPIT_TEXT_H
#define SANDPIT_TEXT_H

#include <stdarg.h>

#include "sandpit.h"

typedef struct {
  char *ptr;
  size_t len, capacity;
} sp_writer;

void sp_write(sp_writer *writer, const char *format, ...);
void sp_write_list(sp_writer *writer, const char *format, va_list values);
/* What was written, as a text of C. */
char *sp_written(sp_writer *writer);

/* For the exports: what the event asked for, and any word of the host on an order. */
void sp_taken(strategy_list_intent_t *intents);
void sp_heard(uint64_t id);

/* The JSON Schema of a table of parameters, and the values of a JSON object by it: NULL, or what is wrong. */
char *sp_schema(const sp_parameter *parameters, size_t count);
const char *sp_read_parameters(const sp_parameter *parameters, size_t count, const char *json, size_t len);

#endif
