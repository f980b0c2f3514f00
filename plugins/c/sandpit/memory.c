/* Memory and text without a C library: blocks in sizes of powers of two, each size with a list of free ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In front of each block, which keeps blocks aligned to 16 bytes. */
typedef struct block {
  size_t size;
  struct block *next;
  uint64_t padding;
} block;

_Static_assert(sizeof(block) == 16, "the header keeps blocks aligned");

enum { SMALLEST_BITS = 4, LARGEST_BITS = 30, PAGE_BYTES = 65536 };

extern unsigned char __heap_base;
static block *free_blocks[LARGEST_BITS + 1];
static uintptr_t unused, limit;

static unsigned bits_for(size_t size) {
  unsigned bits = SMALLEST_BITS;
  while (bits <= LARGEST_BITS && ((size_t)1 << bits) < size) bits++;
  return bits;
}

/* More memory of the host, which ends a strategy that has no more coming. */
static block *take(size_t bytes) {
  if (unused == 0) {
    unused = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    limit = __builtin_wasm_memory_size(0) * (uintptr_t)PAGE_BYTES;
  }
  if (bytes > limit - unused) {
    size_t pages = (bytes - (limit - unused) + PAGE_BYTES - 1) / PAGE_BYTES;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
    limit += pages * PAGE_BYTES;
  }
  block *taken = (block *)unused;
  unused += bytes;
  return taken;
}

void *malloc(size_t size) {
  unsigned bits = bits_for(size);
  if (bits > LARGEST_BITS) return NULL;
  block *found = free_blocks[bits];
  if (found) {
    free_blocks[bits] = found->next;
    return found + 1;
  }
  found = take(sizeof(block) + ((size_t)1 << bits));
  if (!found) return NULL;
  found->size = (size_t)1 << bits;
  return found + 1;
}

void free(void *pointer) {
  if (!pointer) return;
  block *freed = (block *)pointer - 1;
  unsigned bits = bits_for(freed->size);
  freed->next = free_blocks[bits];
  free_blocks[bits] = freed;
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void *made = malloc(bytes);
  return made ? memset(made, 0, bytes) : NULL;
}

void *realloc(void *pointer, size_t size) {
  if (!pointer) return malloc(size);
  size_t had = ((block *)pointer - 1)->size;
  if (size <= had) return pointer;
  void *made = malloc(size);
  if (!made) return NULL;
  memcpy(made, pointer, had);
  free(pointer);
  return made;
}

_Noreturn void abort(void) { __builtin_trap(); }

/* Built as plain loops, which the compiler must not turn into calls of themselves. */
#define PLAIN __attribute__((no_builtin))

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  unsigned char *into = to;
  const unsigned char *out = from;
  while (size--) *into++ = *out++;
  return to;
}

PLAIN void *memmove(void *to, const void *from, size_t size) {
  unsigned char *into = to;
  const unsigned char *out = from;
  if (into <= out) {
    while (size--) *into++ = *out++;
  } else {
    while (size--) into[size] = out[size];
  }
  return to;
}

PLAIN void *memset(void *block, int byte, size_t size) {
  unsigned char *into = block;
  while (size--) *into++ = (unsigned char)byte;
  return block;
}

PLAIN int memcmp(const void *one, const void *other, size_t size) {
  const unsigned char *a = one, *b = other;
  for (; size; size--, a++, b++) {
    if (*a != *b) return *a < *b ? -1 : 1;
  }
  return 0;
}

PLAIN size_t strlen(const char *text) {
  const char *end = text;
  while (*end) end++;
  return (size_t)(end - text);
}

PLAIN int strcmp(const char *one, const char *other) {
  while (*one && *one == *other) one++, other++;
  return (unsigned char)*one - (unsigned char)*other;
}
