/** R4 elementdefinition.html#fixed: the same value, no more and no less. The order of keys does not count. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameValue(of(a, key), of(b, key)))
  );
}

/**
 * R4 elementdefinition.html#pattern: everything in the pattern is in the value, which may have more. Each item of a list in the pattern
 * needs an item in the value's list.
 */
export function matchesPattern(value: unknown, pattern: unknown): boolean {
  if (typeof pattern !== 'object' || pattern === null) return value === pattern;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(pattern)) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    return pattern.every((one) => items.some((item) => matchesPattern(item, one)));
  }
  return Object.keys(pattern).every(
    (key) => Object.hasOwn(value, key) && matchesPattern(of(value, key), of(pattern, key)),
  );
}

const of = (object: object, key: string): unknown => (object as Record<string, unknown>)[key];
