/* Formats, the log, and the end of a strategy that failed. */
#include "text.h"

static void put(sp_writer *writer, const char *text, size_t len) {
  if (writer->len + len > writer->capacity) {
    size_t capacity = writer->capacity * 2 > writer->len + len ? writer->capacity * 2 : writer->len + len + 64;
    char *ptr = realloc(writer->ptr, capacity);
    if (!ptr) abort();
    writer->ptr = ptr;
    writer->capacity = capacity;
  }
  memcpy(writer->ptr + writer->len, text, len);
  writer->len += len;
}

static void put_number(sp_writer *writer, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  put(writer, digits + at, sizeof digits - at);
}

/* As a decimal without trailing zeros. */
static void put_money(sp_writer *writer, int64_t nanos) {
  uint64_t magnitude = nanos < 0 ? -(uint64_t)nanos : (uint64_t)nanos;
  uint64_t fraction = magnitude % SP_UNIT;
  if (nanos < 0) put(writer, "-", 1);
  put_number(writer, magnitude / SP_UNIT);
  if (!fraction) return;
  char digits[10] = ".";
  for (int at = 9; at >= 1; at--, fraction /= 10) digits[at] = (char)('0' + fraction % 10);
  size_t len = sizeof digits;
  while (digits[len - 1] == '0') len--;
  put(writer, digits, len);
}

void sp_write_list(sp_writer *writer, const char *format, va_list values) {
  for (const char *at = format; *at; at++) {
    if (*at != '%') {
      put(writer, at, 1);
      continue;
    }
    switch (*++at) {
      case 's': {
        const char *text = va_arg(values, const char *);
        put(writer, text, strlen(text));
        break;
      }
      case 'd': {
        int number = va_arg(values, int);
        if (number < 0) put(writer, "-", 1);
        put_number(writer, number < 0 ? -(uint64_t)number : (uint64_t)number);
        break;
      }
      case 'u':
        put_number(writer, va_arg(values, uint64_t));
        break;
      case 'm':
        put_money(writer, va_arg(values, int64_t));
        break;
      case '%':
        put(writer, "%", 1);
        break;
      default:
        SP_FAIL("the format \"%s\" has what is not known", format);
    }
  }
}

void sp_write(sp_writer *writer, const char *format, ...) {
  va_list values;
  va_start(values, format);
  sp_write_list(writer, format, values);
  va_end(values);
}

char *sp_written(sp_writer *writer) {
  put(writer, "", 1);
  return writer->ptr;
}

char *sp_text(const char *format, ...) {
  sp_writer writer = {0};
  va_list values;
  va_start(values, format);
  sp_write_list(&writer, format, values);
  va_end(values);
  return sp_written(&writer);
}

char *sp_text_of(const sp_string *text) {
  char *copy = malloc(text->len + 1);
  SP_CHECK(copy != NULL);
  memcpy(copy, text->ptr, text->len);
  copy[text->len] = 0;
  return copy;
}

bool sp_is(const sp_string *text, const char *other) {
  size_t len = strlen(other);
  return text->len == len && memcmp(text->ptr, other, len) == 0;
}

static void log_line(int level, sp_writer *line) {
  sp_string message = {(uint8_t *)line->ptr, line->len};
  sandpit_strategy_host_log((uint8_t)level, &message);
  free(line->ptr);
}

void sp_log(int level, const char *format, ...) {
  sp_writer line = {0};
  va_list values;
  va_start(values, format);
  sp_write_list(&line, format, values);
  va_end(values);
  log_line(level, &line);
}

_Noreturn void sp_fail(const char *file, int line, const char *function, const char *format, ...) {
  sp_writer writer = {0};
  va_list values;
  va_start(values, format);
  sp_write_list(&writer, format, values);
  va_end(values);
  const char *name = file;
  for (const char *at = file; *at; at++) {
    if (*at == '/') name = at + 1;
  }
  sp_write(&writer, " (%s:%d in %s)", name, line, function);
  log_line(SP_ERROR, &writer);
  __builtin_trap();
}
