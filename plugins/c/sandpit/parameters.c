/* What the operator may set: a table of parameters, as a JSON Schema and as what a JSON object is read by. */
#include "text.h"

static const char *const TYPES[] = {"integer", "number", "boolean"};

static void write_number(sp_writer *to, double value) {
  int64_t nanos;
  if (sp_price(value, &nanos)) {
    sp_write(to, "%m", nanos);
  } else {
    sp_write(to, "%s", "out of range");
  }
}

static void write_bound(sp_writer *to, const char *key, sp_type type, sp_bound bound) {
  if (!bound.is_set) return;
  sp_write(to, ",\"%s\":", key);
  if (type == SP_BOOLEAN) {
    sp_write(to, "%s", bound.is ? "true" : "false");
  } else {
    write_number(to, bound.is);
  }
}

/* Names and descriptions are the author's: quotes and backslashes are all that they may hold of what JSON escapes. */
static void write_quoted(sp_writer *to, const char *text) {
  sp_write(to, "%s", "\"");
  for (; *text; text++) {
    char character[] = {*text, 0};
    sp_write(to, *text == '"' || *text == '\\' ? "\\%s" : "%s", character);
  }
  sp_write(to, "%s", "\"");
}

char *sp_schema(const sp_parameter *parameters, size_t count) {
  sp_writer to = {0};
  sp_write(&to, "%s", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
  for (size_t at = 0; at < count; at++) {
    const sp_parameter *it = &parameters[at];
    if (at) sp_write(&to, "%s", ",");
    write_quoted(&to, it->name);
    sp_write(&to, ":{\"type\":\"%s\"", TYPES[it->type]);
    write_bound(&to, "minimum", it->type, it->least);
    write_bound(&to, "exclusiveMinimum", it->type, it->above);
    write_bound(&to, "maximum", it->type, it->most);
    write_bound(&to, "default", it->type, it->initial);
    if (it->description) {
      sp_write(&to, "%s", ",\"description\":");
      write_quoted(&to, it->description);
    }
    sp_write(&to, "%s", "}");
  }
  sp_write(&to, "%s", "}}");
  return sp_written(&to);
}

/* ---- reading: one object of numbers and booleans; anything else is no value of a parameter ---- */

typedef struct {
  const char *at, *end;
} cursor;

static void skip_space(cursor *json) {
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r')) {
    json->at++;
  }
}

static bool take(cursor *json, const char *word) {
  skip_space(json);
  size_t len = strlen(word);
  if ((size_t)(json->end - json->at) < len || memcmp(json->at, word, len) != 0) return false;
  json->at += len;
  return true;
}

static bool is_digit(const cursor *json) { return json->at < json->end && *json->at >= '0' && *json->at <= '9'; }

/* Digits and a power of ten. Exact up to 15 digits, which is what people write; beyond that within a rounding. */
static bool take_number(cursor *json, double *value) {
  bool is_negative = take(json, "-");
  uint64_t digits = 0;
  int exponent = 0;
  if (!is_digit(json)) return false;
  for (bool is_fraction = false;; json->at++) {
    if (is_digit(json)) {
      bool has_room = digits < UINT64_MAX / 10 - 1;
      if (has_room) digits = digits * 10 + (uint64_t)(*json->at - '0');
      exponent += (has_room ? 0 : 1) - (is_fraction ? 1 : 0);
    } else if (json->at < json->end && *json->at == '.' && !is_fraction) {
      is_fraction = true;
    } else {
      break;
    }
  }
  if (json->at < json->end && (*json->at == 'e' || *json->at == 'E')) {
    json->at++;
    int sign = take(json, "-") ? -1 : 1, power = 0;
    if (sign > 0) take(json, "+");
    for (; is_digit(json); json->at++) power = power < 1000 ? power * 10 + (*json->at - '0') : power;
    exponent += sign * power;
  }
  double power = 1;
  for (int at = 0; at < (exponent < 0 ? -exponent : exponent) && at < 400; at++) power *= 10;
  *value = exponent < 0 ? (double)digits / power : (double)digits * power;
  if (is_negative) *value = -*value;
  return true;
}

static bool take_name(cursor *json, const char **name, size_t *len) {
  if (!take(json, "\"")) return false;
  *name = json->at;
  while (json->at < json->end && *json->at != '"' && *json->at != '\\') json->at++;
  *len = (size_t)(json->at - *name);
  return json->at < json->end && *json->at++ == '"';
}

static const char *wrong_bounds(const sp_parameter *of, double value) {
  bool is_good = (!of->least.is_set || value >= of->least.is) && (!of->above.is_set || value > of->above.is) &&
                 (!of->most.is_set || value <= of->most.is);
  if (is_good) return NULL;
  sp_writer to = {0};
  sp_write(&to, "parameters: %s must be ", of->name);
  if (of->least.is_set || of->above.is_set) {
    sp_write(&to, "%s", of->least.is_set ? "at least " : "above ");
    write_number(&to, of->least.is_set ? of->least.is : of->above.is);
    if (of->most.is_set) sp_write(&to, "%s", " and ");
  }
  if (of->most.is_set) {
    sp_write(&to, "%s", "at most ");
    write_number(&to, of->most.is);
  }
  sp_write(&to, "%s", ", not ");
  write_number(&to, value);
  return sp_written(&to);
}

static const char *unknown(const sp_parameter *parameters, size_t count, const char *name, size_t len) {
  sp_writer to = {0};
  sp_write(&to, "%s", "parameters: unknown field `");
  for (size_t at = 0; at < len; at++) {
    char character[] = {name[at], 0};
    sp_write(&to, "%s", character);
  }
  sp_write(&to, "%s", "`, expected one of ");
  for (size_t at = 0; at < count; at++) sp_write(&to, at ? ", `%s`" : "`%s`", parameters[at].name);
  return sp_written(&to);
}

static const char *read_value(const sp_parameter *of, cursor *json) {
  double value;
  if (take(json, "null")) return NULL;
  if (of->type == SP_BOOLEAN) {
    bool is_true = take(json, "true");
    if (!is_true && !take(json, "false")) return sp_text("parameters: %s must be of type boolean", of->name);
    *of->value = is_true;
    return NULL;
  }
  if (!take_number(json, &value)) return sp_text("parameters: %s must be of type %s", of->name, TYPES[of->type]);
  if (of->type == SP_INTEGER && value != __builtin_trunc(value)) {
    return sp_text("parameters: %s must be of type integer", of->name);
  }
  *of->value = value;
  return wrong_bounds(of, value);
}

const char *sp_read_parameters(const sp_parameter *parameters, size_t count, const char *text, size_t len) {
  for (size_t at = 0; at < count; at++) {
    *parameters[at].value = parameters[at].initial.is_set ? parameters[at].initial.is : __builtin_nan("");
  }
  cursor json = {text, text + len};
  skip_space(&json);
  if (json.at == json.end) return NULL;
  if (!take(&json, "{")) return "parameters: an object is wanted";
  for (bool is_first = true; !take(&json, "}"); is_first = false) {
    const char *name;
    size_t name_len;
    if (!is_first && !take(&json, ",")) return "parameters: not JSON";
    if (!take_name(&json, &name, &name_len) || !take(&json, ":")) return "parameters: not JSON";
    const sp_parameter *found = NULL;
    for (size_t at = 0; at < count && !found; at++) {
      bool is_it = strlen(parameters[at].name) == name_len && memcmp(parameters[at].name, name, name_len) == 0;
      if (is_it) found = &parameters[at];
    }
    if (!found) return unknown(parameters, count, name, name_len);
    const char *fault = read_value(found, &json);
    if (fault) return fault;
  }
  return NULL;
}
