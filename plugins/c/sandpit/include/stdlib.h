/* The part of the C library that strategies and their generated bindings use: memory.c has it. */
#ifndef SANDPIT_STDLIB_H
#define SANDPIT_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
_Noreturn void abort(void);

#endif
