import type { ConceptMap, ConceptMapGroupElement, ConceptMapGroupElementTarget } from '@medplum/fhirtypes';
import type { FindingCode } from '../kernel/handoffs.ts';
import { shippedConceptMaps } from './shipped-terminology.ts';

/**
 * The ConceptMaps in memory: which code a finding has in another system, and how well it matches. Starts from the maps we
 * ship; `put` takes a map as a site has edited it over FHIR, and its rows count from then on. Where two maps answer for the same
 * system, a row with a code wins over a "none", and of two codes the one of the map put in last.
 */
export class ConceptMaps {
  private readonly maps = new Map<string, ConceptMap>();
  private table: Table = new Map();

  /** With `licensed`, rows that need a SNOMED CT affiliate licence count too. */
  static shipped(options: { readonly licensed?: boolean } = {}): ConceptMaps {
    const maps = new ConceptMaps();
    for (const map of shippedConceptMaps(options)) maps.put(map);
    return maps;
  }

  /** Takes a new or edited map; one that is not `active` any more no longer counts. */
  put(map: ConceptMap): void {
    const key = map.url ?? map.id ?? '';
    this.maps.delete(key);
    if (map.status === 'active') this.maps.set(key, map);
    this.table = toTable(this.maps.values());
  }

  /** Forgets a map that was deleted over FHIR, by its id. */
  remove(id: string): void {
    for (const [key, map] of this.maps) if (map.id === id) this.maps.delete(key);
    this.table = toTable(this.maps.values());
  }

  /** The code in one target system; `match: 'none'` when there is no row or the row says so. */
  translate(system: string, code: string, targetSystem: string): FindingCode {
    return this.table.get(system)?.get(targetSystem)?.get(code) ?? none(targetSystem);
  }

  /** The code in each system there is a map to, explicit nones included. */
  codesOf(system: string, code: string): readonly FindingCode[] {
    const targets = this.table.get(system);
    return targets === undefined
      ? []
      : [...targets.entries()].map(([target, rows]) => rows.get(code) ?? none(target));
  }
}

/** Source system → target system → source code → code. */
type Table = Map<string, Map<string, Map<string, FindingCode>>>;

const none = (system: string): FindingCode => ({ system, code: null, display: null, match: 'none' });

function toTable(maps: Iterable<ConceptMap>): Table {
  const table: Table = new Map();
  for (const map of maps) {
    for (const group of map.group ?? []) {
      if (group.source === undefined || group.target === undefined) continue;
      const targets = entry(table, group.source);
      const rows = entry(targets, group.target);
      for (const element of group.element ?? []) putElement(rows, group.target, element);
    }
  }
  return table;
}

function entry<K, V, W>(map: Map<K, Map<V, W>>, key: K): Map<V, W> {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = new Map<V, W>();
  map.set(key, made);
  return made;
}

function putElement(rows: Map<string, FindingCode>, target: string, element: ConceptMapGroupElement): void {
  if (element.code === undefined) return;
  const best = (element.target ?? [])
    .map((candidate) => toCode(target, candidate))
    .reduce<FindingCode>((a, b) => (RANK[b.match] < RANK[a.match] ? b : a), none(target));
  if (best.code !== null || !rows.has(element.code)) rows.set(element.code, best);
}

const RANK: Record<FindingCode['match'], number> = { exact: 0, narrower: 1, broader: 2, none: 3 };

/**
 * FHIR R4 ConceptMapEquivalence says how the *target* stands to the source. `relatedto` and `inexact` do not say in which
 * direction a code is off, so such a code is not used.
 */
const MATCH: Readonly<Record<string, FindingCode['match']>> = {
  equal: 'exact',
  equivalent: 'exact',
  wider: 'broader',
  subsumes: 'broader',
  narrower: 'narrower',
  specializes: 'narrower',
};

function toCode(system: string, target: ConceptMapGroupElementTarget): FindingCode {
  const match = MATCH[target.equivalence ?? ''] ?? 'none';
  if (target.code === undefined || match === 'none') return none(system);
  return { system, code: target.code, display: target.display ?? null, match };
}
