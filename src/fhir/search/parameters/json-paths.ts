/**
 * Where a parameter's values lie in the JSON of a resource, as SQL/JSON paths (lax: arrays are gone through by themselves), made of the
 * parameter's FHIRPath: `(Observation.value as CodeableConcept)` → `$."valueCodeableConcept"`. Null when it is more than a path.
 */
export function jsonPaths(type: string, code: string, expression: string | null): readonly string[] | null {
  if (expression === null) return BASE[code] ?? null;
  const paths = expression.split(' | ').map((part) => onePath(type, part.trim()));
  return paths.every((path) => path !== null) ? paths : null;
}

const BASE: Readonly<Record<string, readonly string[]>> = {
  _tag: ['$."meta"."tag"'],
  _security: ['$."meta"."security"'],
};

function onePath(type: string, part: string): string | null {
  const text = part
    .replace(/^\((.*)\)$/, '$1')
    .replace(/^\(([A-Za-z.]+)\)/, '$1')
    .replace(/\.(?:as|ofType)\(([A-Za-z]+)\)/g, ' as $1');
  const match = /^([A-Z][A-Za-z]+)((?:\.[a-z][A-Za-z]*)+)(?: as ([A-Za-z]+))?$/.exec(text);
  if (!match?.[2] || match[1] !== type) return null;
  const names = match[2].slice(1).split('.');
  const last = names.pop() ?? '';
  const chosen = match[3] ? `${last}${match[3].charAt(0).toUpperCase()}${match[3].slice(1)}` : last;
  return `$${[...names, chosen].map((name) => `."${name}"`).join('')}`;
}
