/* The part of the C library that strategies and their generated bindings use: memory.c has it. */
#ifndef SANDPIT_STRING_H
#define SANDPIT_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *block, int byte, size_t size);
int memcmp(const void *one, const void *other, size_t size);
size_t strlen(const char *text);
int strcmp(const char *one, const char *other);

#endif
