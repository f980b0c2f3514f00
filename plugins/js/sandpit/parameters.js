/** What the operator may set: the JSON of a manifest, checked by the properties of a JSON Schema. */

/**
 * The parameters with their defaults; one that has none is `null` when it is not set.
 *
 * Throws an `Error` of one sentence when a name is unknown, or a value has another type or is out of its bounds.
 */
export function read(json, properties) {
  let given;
  try {
    given = JSON.parse(json.trim() || '{}');
  } catch (error) {
    throw new Error(`parameters: ${error.message}`);
  }
  for (const name of Object.keys(given)) {
    if (name in properties) continue;
    const known = Object.keys(properties).map((it) => `\`${it}\``).join(', ') || 'none';
    throw new Error(`parameters: unknown field \`${name}\`, expected one of ${known}`);
  }
  const value = ([name, property]) => {
    const set = given[name] ?? null;
    if (set === null) return [name, property.default ?? null];
    const fault = wrong(name, set, property);
    if (fault) throw new Error(`parameters: ${fault}`);
    return [name, set];
  };
  return Object.fromEntries(Object.entries(properties).map(value));
}

const TYPES = {
  integer: Number.isInteger,
  number: (value) => typeof value === 'number',
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  array: Array.isArray,
  object: (value) => typeof value === 'object',
};

function wrong(name, value, { type, minimum, exclusiveMinimum, maximum }) {
  const isOfType = TYPES[type] ?? (() => true);
  if (!isOfType(value)) return `${name} must be of type ${type}, not ${JSON.stringify(value)}`;
  if (typeof value !== 'number') return null;
  const isGood =
    !(value < minimum) && !(value <= exclusiveMinimum) && !(value > maximum);
  if (isGood) return null;
  const least = minimum !== undefined ? `at least ${minimum}` : `above ${exclusiveMinimum}`;
  const most = `at most ${maximum}`;
  const hasLeast = (minimum ?? exclusiveMinimum) !== undefined;
  const range = [hasLeast && least, maximum !== undefined && most].filter(Boolean).join(' and ');
  return `${name} must be ${range}, not ${value}`;
}
