/**
 * `make`, which remembers its last answer: for what is worked out again and again from the very same value, such as the text of the instant that all
 * resources of a transaction have. `make` must depend on nothing else, and nobody may change the value.
 */
export function lastKnown<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  let last: { readonly key: Key; readonly value: Value } | null = null;
  return (key) => {
    if (last === null || last.key !== key) last = { key, value: make(key) };
    return last.value;
  };
}
