import type { Bundle, Resource } from '@medplum/fhirtypes';
import { observationOf, patientOf, reportOf, snomedOf, studyOf, transactionOf } from './fhir-resources.ts';
import type { FhirTarget } from './fhir-target.ts';

/** What was loaded before the measurement: references by number. */
export interface Seeded {
  readonly patients: readonly string[];
  readonly studies: readonly string[];
  readonly observations: readonly string[];
  /** Observations that are read, and as many others that are updated; left out: `POOL`. */
  readonly pool?: number;
}

export interface SeedSize {
  readonly patients: number;
  readonly observations: number;
  readonly reports: number;
}

/** The last fifth of the patients gets what the write workloads make: what is searched stays the same. */
const SEARCHED_SHARE = 0.8;
const SEED_CONNECTIONS = 8;
/** Resources that are read, and as many others that are updated. */
const POOL = 1_000;
const PAGE = 20;

export const searchedOf = (size: Pick<SeedSize, 'patients'>): number =>
  Math.floor(size.patients * SEARCHED_SHARE);
/** Codes go round once per round of patients, so that each patient has each code equally often. */
export const codeOf = (n: number, searched: number): number => Math.floor(n / searched);

/** Writes the small set over the API, on either side the same. */
export async function seed(target: FhirTarget, size: SeedSize): Promise<Seeded> {
  const create = async (resource: Resource): Promise<string> => {
    const { status, body } = await target.send('POST', resource.resourceType, resource);
    if (status !== 201)
      throw new Error(`seeding a ${resource.resourceType} answered ${status}: ${JSON.stringify(body)}`);
    return `${resource.resourceType}/${(body as Resource).id}`;
  };
  const searched = searchedOf(size);
  const patients = await all(size.patients, (n) => create(patientOf(n)));
  const studies = await all(size.patients, (n) => create(studyOf(n, patients[n] as string)));
  const owner = (n: number): [string, string] => [
    patients[n % searched] as string,
    studies[n % searched] as string,
  ];
  const observations = await all(size.observations, (n) =>
    create(observationOf(n, codeOf(n, searched), ...owner(n))),
  );
  await all(size.reports, (n) =>
    create(
      reportOf(n, n % 4 === 0 ? 'preliminary' : 'final', ...owner(n), [
        observations[n % observations.length] as string,
      ]),
    ),
  );
  return { patients, studies, observations };
}

async function all(count: number, make: (n: number) => Promise<string>): Promise<string[]> {
  const made: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      made[n] = await make(n);
    }
  };
  await Promise.all(Array.from({ length: SEED_CONNECTIONS }, worker));
  return made;
}

/** One request of a workload, its answer checked: throws when it is wrong. */
export type Step = (worker: number, n: number) => Promise<void>;

export const WORKLOADS = [
  'read',
  'search-by-code',
  'search-by-date',
  'create',
  'conditional-create',
  'update',
  'transaction',
] as const;
export type Workload = (typeof WORKLOADS)[number];

/** Numbers of what is written: never the same twice, in no run on the same data. */
let serial = Date.now();

export function stepOf(workload: Workload, target: FhirTarget, seeded: Seeded, connections: number): Step {
  const { patients, studies, observations } = seeded;
  const searched = searchedOf({ patients: patients.length });
  const writer = (n: number): [string, string] => {
    const at = searched + (n % (patients.length - searched));
    return [patients[at] as string, studies[at] as string];
  };
  const pool = Math.min(seeded.pool ?? POOL, Math.floor(observations.length / 2));
  const steps: Record<Workload, Step> = {
    async read() {
      const one = observations[Math.floor(Math.random() * pool)] as string;
      const { status, body } = await target.send('GET', one);
      must(status === 200 && one.endsWith(`/${(body as Resource).id}`), 'read', status, body);
    },
    async 'search-by-code'() {
      const at = Math.floor(Math.random() * searched);
      const code = Math.floor(Math.random() * 5);
      const { status, body } = await target.send(
        'GET',
        `Observation?patient=${patients[at]}&code=${encodeURIComponent(snomedOf(code))}`,
      );
      const found = (body as Bundle).entry ?? [];
      must(status === 200 && found.length > 0, 'search', status, body);
      for (const { resource } of found) {
        must(
          resource?.resourceType === 'Observation' && resource.subject?.reference === patients[at],
          'found',
          status,
          body,
        );
      }
    },
    async 'search-by-date'() {
      const { status, body } = await target.send(
        'GET',
        `DiagnosticReport?status=preliminary&_sort=-date&_count=${PAGE}`,
      );
      const dates = ((body as Bundle).entry ?? []).map(({ resource }) =>
        resource?.resourceType === 'DiagnosticReport' ? String(resource.effectiveDateTime) : '',
      );
      must(
        status === 200 && dates.length === PAGE && dates.join() === dates.toSorted().reverse().join(),
        'sorted',
        status,
        body,
      );
    },
    async create() {
      const n = serial++;
      const { status, body } = await target.send('POST', 'Observation', observationOf(n, n, ...writer(n)));
      must(status === 201 && (body as Resource).id !== undefined, 'create', status, body);
    },
    async 'conditional-create'() {
      const n = serial++;
      const observation = observationOf(n, n, ...writer(n));
      const identifier = observation.identifier?.[0];
      const { status, body } = await target.send('POST', 'Observation', observation, {
        'if-none-exist': `identifier=${encodeURIComponent(`${identifier?.system}|${identifier?.value}`)}`,
      });
      must(status === 201 && (body as Resource).id !== undefined, 'conditional create', status, body);
    },
    async update(worker, n) {
      // Each connection has resources of its own: two updates never meet.
      const share = Math.max(1, Math.floor(pool / connections));
      const at = pool + worker * share + (Math.floor(n / connections) % share);
      const owner = at % searched;
      const resource = {
        ...observationOf(at, codeOf(at, searched), patients[owner] as string, studies[owner] as string),
        id: (observations[at] as string).split('/')[1],
        note: [{ text: `looked at ${serial++}` }],
      };
      const { status, body } = await target.send('PUT', observations[at] as string, resource);
      must(status === 200 && (body as Resource).id === resource.id, 'update', status, body);
    },
    async transaction() {
      const n = serial++;
      const { status, body } = await target.send('POST', '', transactionOf(n, ...writer(n)));
      const entries = (body as Bundle).entry ?? [];
      must(
        status === 200 &&
          entries.length === 9 &&
          entries.every((entry) => entry.response?.status?.startsWith('201')),
        'transaction',
        status,
        body,
      );
    },
  };
  return steps[workload];
}

function must(right: boolean, what: string, status: number, body: unknown): void {
  if (!right) throw new Error(`${what} answered ${status}: ${JSON.stringify(body)?.slice(0, 300)}`);
}
