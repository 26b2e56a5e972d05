import { instants } from '../search/kinds/date.ts';
import { canonicalUnit } from '../search/parameters/canonical-unit.ts';
import type { Invariant, JsonObject } from './invariant.ts';

/**
 * Invariants of R4 as plain code: those of the types that are written all day, and those that need functions the quick FHIRPath engine
 * has not. Keys as in the specification; with the type before it where a key stands for several rules.
 */
export const NATIVE_INVARIANTS: Readonly<Record<string, Invariant['holds']>> = {
  'ext-1': on((extension) => has(extension, 'extension') !== hasChoice(extension, 'value')),
  'att-1': on((one) => !has(one, 'data') || has(one, 'contentType')),
  'cpt-2': on((one) => !has(one, 'value') || has(one, 'system')),
  'qty-3': on((one) => !has(one, 'code') || has(one, 'system')),
  'rat-1': on(
    (one) =>
      has(one, 'numerator') === has(one, 'denominator') && (has(one, 'numerator') || has(one, 'extension')),
  ),
  'per-1': on((period) => periodHolds(period)),
  'rng-2': on((range) => rangeHolds(range)),
  'obs-3': on((one) => has(one, 'low') || has(one, 'high') || has(one, 'text')),
  'obs-6': on((one) => !has(one, 'dataAbsentReason') || !hasChoice(one, 'value')),
  'obs-7': on((observation) => obs7(observation)),
  'pat-1': on((one) => ['name', 'telecom', 'address', 'organization'].some((key) => has(one, key))),
  'prr-1': on((one) => !has(one, 'orderDetail') || has(one, 'code')),
  'sev-1': on((one) => !has(one, 'name') || !has(one, 'query')),
  'org-2': on((one) => one['use'] !== 'home'),
  'org-3': on((one) => one['use'] !== 'home'),
  'cmp-1': on((one) => has(one, 'text') || has(one, 'entry') || has(one, 'section')),
  'cmp-2': on((one) => !has(one, 'emptyReason') || !has(one, 'entry')),
  'bdl-5': on((entry) => has(entry, 'resource') || has(entry, 'request') || has(entry, 'response')),
  'bdl-8': on((entry) => !String(entry['fullUrl'] ?? '').includes('/_history/')),
  'Parameters inv-1': on((one) => parameterHolds(one)),
  'ParametersParameter inv-1': on((one) => parameterHolds(one)),
  'Task inv-1': on((task) => taskHolds(task)),
  'que-2': on((questionnaire) => distinct(deep(questionnaire['item'], 'item', 'linkId'))),
  'csd-1': on((codeSystem) => distinct(deep(codeSystem['concept'], 'concept', 'code'))),
};

/** What R4 says in words and in no invariant, by type. */
export const OWN_RULES: Readonly<Record<string, readonly Invariant[]>> = {
  Organization: [
    {
      key: 'org-1',
      human: 'an organization has a name or an identifier',
      severity: 'error',
      holds: on((one) => has(one, 'identifier') || has(one, 'name')),
    },
  ],
  Age: [unitOf('s', 'time')],
  Duration: [unitOf('s', 'time')],
  Distance: [unitOf('m', 'length')],
  Attachment: [
    {
      key: 'size',
      human: 'the size of an attachment is that of its data, decoded',
      severity: 'error',
      holds: on(
        ({ size, data }) =>
          typeof size !== 'number' || typeof data !== 'string' || Buffer.byteLength(data, 'base64') === size,
      ),
    },
  ],
};

function on(rule: (value: JsonObject) => boolean): Invariant['holds'] {
  return (value) => typeof value !== 'object' || value === null || rule(value as JsonObject);
}

/** FHIRPath `exists()`: a primitive with only an extension exists too. */
const has = (object: JsonObject, key: string): boolean =>
  object[key] !== undefined || object[`_${key}`] !== undefined;

const CHOICE: Readonly<Record<string, RegExp>> = { value: /^_?value[A-Z]/ };

function hasChoice(object: JsonObject, name: string): boolean {
  const regex = CHOICE[name] as RegExp;
  for (const key in object) if (regex.test(key)) return true;
  return false;
}

/** A period does not end before it starts; compared as far as both are precise. */
function periodHolds({ start, end }: JsonObject): boolean {
  if (typeof start !== 'string' || typeof end !== 'string') return true;
  if (start.length === end.length && start.endsWith('Z') && end.endsWith('Z')) return start <= end;
  const [from, to] = [instants(start), instants(end)];
  return !from || !to || from.lo < to.hi;
}

/** Bounds in different units cannot be compared here and pass. */
function rangeHolds(range: JsonObject): boolean {
  const low = (range['low'] ?? {}) as JsonObject;
  const high = (range['high'] ?? {}) as JsonObject;
  if (typeof low['value'] !== 'number' || typeof high['value'] !== 'number') return true;
  const unit = (quantity: JsonObject) =>
    `${quantity['system'] ?? ''}|${quantity['code'] ?? quantity['unit'] ?? ''}`;
  return unit(low) !== unit(high) || low['value'] <= high['value'];
}

/** When a component has the code of the Observation, the value belongs there and not beside it. */
function obs7(observation: JsonObject): boolean {
  const components = observation['component'];
  if (!Array.isArray(components) || !hasChoice(observation, 'value')) return true;
  const own = codingsOf(observation['code']);
  // Alike as a whole are only those of the same code, which most components do not have.
  const codes = new Set(own.map(codeIn));
  const alike = components
    .flatMap((component: JsonObject) => codingsOf(component?.['code']))
    .filter((coding) => codes.has(codeIn(coding)));
  if (alike.length === 0) return true;
  const whole = new Set(own.map(canonical));
  return !alike.some((coding) => whole.has(canonical(coding)));
}

function codingsOf(concept: unknown): readonly unknown[] {
  const coding = (concept as JsonObject | undefined)?.['coding'];
  return Array.isArray(coding) ? coding : [];
}

const codeIn = (coding: unknown): unknown => (coding as JsonObject | null | undefined)?.['code'];

/** FHIRPath `intersect` compares whole codings, whatever the order of their keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical((value as JsonObject)[key])}`).join()}}`;
}

/** A parameter has parts, or exactly one of value and resource. */
function parameterHolds(parameter: JsonObject): boolean {
  const [part, value, resource] = [
    has(parameter, 'part'),
    hasChoice(parameter, 'value'),
    has(parameter, 'resource'),
  ];
  return part ? !value && !resource : value !== resource;
}

function taskHolds({ lastModified, authoredOn }: JsonObject): boolean {
  if (typeof lastModified !== 'string' || typeof authoredOn !== 'string') return true;
  return periodHolds({ start: authoredOn, end: lastModified });
}

/** `key` of every item of a tree whose branches are `children`. */
function deep(items: unknown, children: string, key: string): unknown[] {
  if (!Array.isArray(items)) return [];
  return items.flatMap((item: JsonObject) => [
    ...(item?.[key] === undefined ? [] : [item[key]]),
    ...deep(item?.[children], children, key),
  ]);
}

const distinct = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

/** The binding of the type as a whole has a maxValueSet: all units of UCUM that measure this (R4 datatypes.html#quantity, age-1, drt-1, dis-1). */
function unitOf(base: string, what: string): Invariant {
  return {
    key: 'unit',
    human: `the code is a UCUM unit of ${what}, such as ${base === 's' ? 'a, mo, d, h, min' : 'm, cm, km'}`,
    severity: 'error',
    holds: on(({ code }) => typeof code !== 'string' || canonicalUnit(code)?.code === `${base}1`),
  };
}
