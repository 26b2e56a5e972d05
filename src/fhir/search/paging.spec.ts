import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, type FhirApp, fhirApp } from '../../../test/fhir-app.ts';

const UCUM = 'http://unitsofmeasure.org';
const TAG = { system: 'urn:paging', code: 'all' };
const KEPT = 45;

let server: FhirApp;
let turn = 0;

/** Many of a kind share their keys, so that pages end in the midst of equals; some have none. */
const observation = (id: string, n: number) => ({
  ...{ resourceType: 'Observation', id, status: ['final', 'amended', 'preliminary'][n % 3] },
  meta: { tag: [TAG] },
  code: { coding: [{ system: 'urn:c', code: `c${n % 4}` }] },
  ...(n % 5 === 0 ? {} : { subject: { reference: `Patient/p${n % 6}` } }),
  ...(n % 4 === 0 ? {} : { effectiveDateTime: `2026-01-${String(1 + (n % 9)).padStart(2, '0')}` }),
  ...(n % 3 === 0
    ? { valueString: `text ${n % 7}` }
    : n % 3 === 1
      ? { valueQuantity: { value: n % 8, system: UCUM, code: 'mg' } }
      : {}),
});

const write = (resources: readonly { resourceType: string; id: string }[], gone: readonly string[] = []) =>
  server.send('POST', '', {
    ...{ resourceType: 'Bundle', type: 'batch' },
    entry: [
      ...resources.map((resource) => ({
        resource,
        request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
      })),
      ...gone.map((id) => ({ request: { method: 'DELETE', url: `Observation/${id}` } })),
    ],
  });

beforeAll(async () => {
  server = await fhirApp();
  await write([0, 1, 2, 3, 4, 5].map((n) => ({ resourceType: 'Patient', id: `p${n}` })));
  // Kept ones and those that others change lie among each other.
  const all = Array.from({ length: KEPT }, (_, n) => [
    observation(`kept-${n}`, n),
    observation(`other-${n}`, n + 1),
  ]);
  await write(all.flat());
}, 60_000);
afterAll(() => server.close());

/** Others create, move within the order, and delete, beside each request for a page. */
async function others(): Promise<void> {
  turn += 1;
  const moved = [0, 1].map((k) => observation(`other-${(turn * 2 + k) % KEPT}`, turn * 5 + k));
  const fresh = observation(`new-${turn}`, turn);
  await write([...moved, fresh], [`other-${(turn * 3) % KEPT}`, `new-${turn - 3}`]);
}

interface Entry {
  readonly resource: {
    readonly id: string;
    readonly resourceType: string;
    readonly subject?: { reference: string };
  };
  readonly search: { readonly mode: string };
}

async function walk(query: string, each: (entries: readonly Entry[], total: unknown) => void): Promise<void> {
  let path: string | undefined = `Observation?_tag=urn:paging|all&_count=7${query}`;
  for (let pages = 0; path !== undefined; pages++) {
    const [answer]: [Answered, void] = await Promise.all([server.send('GET', path), others()]);
    expect(answer.status, answer.text).toBe(200);
    each(answer.json.entry ?? [], answer.json.total);
    const next: { url: string } | undefined = answer.json.link.find(
      ({ relation }: { relation: string }) => relation === 'next',
    );
    path = next?.url.replace(/^.*\/fhir\//, '');
    if (pages > 60) throw new Error('the pages do not end');
  }
}

const matchesOf = (entries: readonly Entry[]) => entries.filter(({ search }) => search.mode === 'match');

describe('pages while others create, change and delete', () => {
  it.each([
    ['no order', ''],
    ['_id', '&_sort=_id'],
    ['_id, descending', '&_sort=-_id'],
    ['a code', '&_sort=code'],
    ['a status, descending', '&_sort=-status'],
    ['a reference', '&_sort=subject'],
    ['a date', '&_sort=date'],
    ['a date, descending', '&_sort=-date'],
    ['a text', '&_sort=value-string'],
    ['a quantity', '&_sort=-value-quantity'],
    ['three keys', '&_sort=status,-date,value-quantity'],
    ['the time of change', '&_sort=_lastUpdated'],
    ['the time of change, descending', '&_sort=-_lastUpdated'],
  ])('by %s: what nobody changes comes exactly once', async (_, sort) => {
    const seen: string[] = [];
    await walk(sort, (entries) => seen.push(...matchesOf(entries).map(({ resource }) => resource.id)));
    const kept = seen.filter((id) => id.startsWith('kept-'));
    expect(kept.length).toBe(KEPT);
    expect(new Set(kept).size).toBe(KEPT);
  });

  it('with includes: each page brings what its own matches refer to, and nothing else', async () => {
    let kept = 0;
    await walk('&_sort=-date&_include=Observation:subject', (entries) => {
      const matches = matchesOf(entries);
      const wanted = new Set(matches.flatMap(({ resource }) => resource.subject?.reference ?? []));
      const included = entries
        .filter(({ search }) => search.mode === 'include')
        .map(({ resource: { resourceType, id } }) => `${resourceType}/${id}`);
      expect(included.sort()).toEqual([...wanted].sort());
      expect(matches.length).toBeLessThanOrEqual(7);
      kept += matches.filter(({ resource }) => resource.id.startsWith('kept-')).length;
    });
    expect(kept).toBe(KEPT);
  });

  it('with _total=accurate: each page says how many there are now', async () => {
    const totals: unknown[] = [];
    let matches = 0;
    await walk('&_sort=code&_total=accurate', (entries, total) => {
      totals.push(total);
      matches += matchesOf(entries).length;
    });
    const rest = await server.send('GET', 'Observation?_tag=urn:paging|all&_summary=count');
    expect(totals.every((total) => typeof total === 'number' && total >= KEPT)).toBe(true);
    expect(Math.abs((totals.at(-1) as number) - rest.json.total)).toBeLessThan(10);
    expect(matches).toBeGreaterThanOrEqual(KEPT);
  });

  it('leads to the end also when all that is left goes away meanwhile', async () => {
    const mine = Array.from({ length: 10 }, (_, n) => ({
      ...observation(`gone-${n}`, n),
      meta: { tag: [{ system: 'urn:paging', code: 'gone' }] },
    }));
    await write(mine);
    const first = await server.send('GET', 'Observation?_tag=urn:paging|gone&_count=7&_sort=date');
    expect(first.json.entry).toHaveLength(7);
    const next = first.json.link.find(({ relation }: { relation: string }) => relation === 'next');
    await write(
      [],
      mine.map(({ id }) => id),
    );
    const second = await server.send('GET', next.url.replace(/^.*\/fhir\//, ''));
    expect(second.status).toBe(200);
    expect(second.json.entry ?? []).toEqual([]);
    expect(second.json.link.some(({ relation }: { relation: string }) => relation === 'next')).toBe(false);
  });
});
