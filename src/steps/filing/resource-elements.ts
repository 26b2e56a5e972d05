import type { CodeableConcept, Resource } from '@medplum/fhirtypes';

/**
 * A resource cut into what messages say, keep and take back one by one: its elements, and the parts of those that several fields fill (`telecom/work`,
 * `participant/ATND`, `extension/<url>`, `period/end`). A choice is one element, whatever its type (`deceased`), and so is a value with what FHIR has beside it (`_birthDate`).
 */
export type Elements = Map<string, Readonly<Record<string, unknown>>>;

export function elementsOf(resource: object): Elements {
  const { resourceType } = resource as Resource;
  const elements: Elements = new Map();
  for (const [key, value] of Object.entries(resource)) {
    if (value === undefined) continue;
    const list = key === 'extension' ? EXTENSIONS : LISTS[`${resourceType}.${key}`];
    if (list) {
      for (const [part, entries] of Map.groupBy(value as readonly object[], list.partOf))
        elements.set(`${key}/${part}`, { [key]: entries });
    } else if (OBJECTS.has(`${resourceType}.${key}`)) {
      for (const [part, one] of Object.entries(value))
        elements.set(`${key}/${part}`, { [key]: { [part]: one } });
    } else {
      const name = nameOf(key);
      elements.set(name, { ...elements.get(name), [key]: value });
    }
  }
  return elements;
}

/** Back again. Parts of a list stand in their order, those that are unknown here last. */
export function fromElements<T extends Resource>(elements: Elements): T {
  const resource: Record<string, unknown> = {};
  const ranked = [...elements].map(([name, values]) => ({ name, values, rank: rankOf(name) }));
  for (const { name, values } of ranked.sort((a, b) => a.rank - b.rank)) {
    const isPart = name.includes('/');
    for (const [key, value] of Object.entries(values)) {
      const before = resource[key];
      if (!isPart || before === undefined) resource[key] = value;
      else if (Array.isArray(before)) resource[key] = [...before, ...(value as unknown[])];
      else resource[key] = { ...(before as object), ...(value as object) };
    }
  }
  return resource as unknown as T;
}

interface PartedList {
  /** In the order in which they stand. */
  readonly parts: readonly string[];
  partOf(entry: object): string;
}

const useOf = (entry: object) => (entry as { use?: string }).use ?? '';
const codeOf = ({ type }: { type?: CodeableConcept[] }) => type?.[0]?.coding?.[0]?.code ?? '';

const EXTENSIONS: PartedList = { parts: [], partOf: (entry) => (entry as { url: string }).url };

const LISTS: Readonly<Record<string, PartedList>> = {
  // PID-5, and PID-9 by which names he was known.
  'Patient.name': {
    parts: ['own', 'alias'],
    partOf: (entry) => (['', 'official', 'usual', 'temp'].includes(useOf(entry)) ? 'own' : 'alias'),
  },
  // PID-13, and PID-14.
  'Patient.telecom': {
    parts: ['home', 'work'],
    partOf: (entry) => (useOf(entry) === 'work' ? 'work' : 'home'),
  },
  'Encounter.participant': { parts: ['ATND', 'REF', 'CON', 'ADM', 'PART'], partOf: codeOf },
  // PV1-3 and 11, PV1-42, PV1-6 and 43.
  'Encounter.location': {
    parts: ['now', 'reserved', 'completed'],
    partOf: (entry) => {
      const { status = '' } = entry as { status?: string };
      return status === 'reserved' || status === 'completed' ? status : 'now';
    },
  },
  // OBR-24, beside that of imaging.
  'ServiceRequest.category': {
    parts: ['kind', 'section'],
    partOf: (entry) =>
      (entry as CodeableConcept).coding?.[0]?.system?.endsWith('/v2-0074') ? 'section' : 'kind',
  },
};

const OBJECTS: ReadonlySet<string> = new Set(['Encounter.hospitalization', 'Encounter.period']);

/** Elements of which FHIR allows one type at a time, as far as messages fill them. */
const CHOICES = ['deceased', 'multipleBirth', 'occurrence'] as const;

function nameOf(key: string): string {
  const plain = key.startsWith('_') ? key.slice(1) : key;
  return CHOICES.find((name) => plain.startsWith(name) && /^[A-Z]/.test(plain.slice(name.length))) ?? plain;
}

/** Parts go by their rank; the sort leaves what has none where it stands. */
function rankOf(name: string): number {
  const slash = name.indexOf('/');
  const list = slash < 0 ? undefined : BY_NAME[name.slice(0, slash)];
  if (!list) return 0;
  const at = list.parts.indexOf(name.slice(slash + 1));
  return at < 0 ? list.parts.length : at;
}

const BY_NAME: Readonly<Record<string, PartedList>> = Object.fromEntries(
  Object.entries(LISTS).map(([of, list]) => [of.split('.')[1]!, list]),
);
