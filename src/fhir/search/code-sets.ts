import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { registeredTerminology } from '../terminology-registry.ts';
import { codesAsked, needsTerminology, RESOLVED_CODES_MAX, valuesOfCodes } from './resolve-terminology.ts';
import type { ValueFilter } from './search-kind.ts';
import type { Filter } from './search-query.ts';

/**
 * What `:in`, `:not-in`, `:above` and `:below` stood for when they were looked up, for criteria that are kept and asked of every write. A first reading
 * gathers what is not known yet, `fetch` looks it up, a second reading has it. Who keeps one throws it away when a value set or a code system changes.
 */
export class CodeSets {
  /** What was asked for and is not known: `fetch` is due, and what was read is worth nothing. */
  readonly open = new Map<string, ValueFilter>();
  private readonly known: Map<string, readonly string[] | null>;

  constructor(known: ReadonlyMap<string, readonly string[] | null> = new Map()) {
    this.known = new Map(known);
  }

  /** Has anybody asked? If not, no change of terminology matters. */
  get used(): boolean {
    return this.known.size > 0;
  }

  /** One that may learn more without this one learning it. */
  copy(): CodeSets {
    return new CodeSets(this.known);
  }

  /** The codes in the place of the names. Throws `fhir.invalid` where a name stands for nothing here, or for more than `RESOLVED_CODES_MAX` codes. */
  resolve(filters: readonly Filter[]): readonly Filter[] {
    return needsTerminology(filters) ? filters.map((filter) => this.resolved(filter)) : filters;
  }

  async fetch(sql: Sql): Promise<void> {
    const terminology = registeredTerminology();
    for (const [key, filter] of this.open) {
      const codes = terminology && (await codesAsked(filter.values[0] ?? '', filter, terminology, sql));
      this.known.set(key, codes && valuesOfCodes(codes));
    }
    this.open.clear();
  }

  private resolved(filter: Filter): Filter {
    if (!needsTerminology([filter])) return filter;
    switch (filter.kind) {
      case 'value':
        return { kind: 'value', value: this.withCodes(filter.value) };
      case 'any':
        return { kind: 'any', of: this.resolve(filter.of) };
      case 'not':
      case 'has':
        return { ...filter, filter: this.resolved(filter.filter) };
      case 'chain':
        return {
          ...filter,
          links: filter.links.map((link) => ({ ...link, filter: this.resolved(link.filter) })),
        };
      default:
        return filter;
    }
  }

  private withCodes(filter: ValueFilter): ValueFilter {
    const name = `${filter.parameter.code}:${filter.modifier}`;
    const all = new Set<string>();
    for (const value of filter.values) {
      const key = `${filter.modifier} ${value}`;
      const values = this.known.get(key);
      if (values === null)
        throw new Failure(
          'fhir.invalid',
          `${name} names what is not loaded here; see ValueSet and CodeSystem of this server.`,
        );
      if (values === undefined) this.open.set(key, { ...filter, values: [value] });
      else for (const one of values) all.add(one);
    }
    if (all.size > RESOLVED_CODES_MAX)
      throw new Failure(
        'fhir.invalid',
        `${name} stands for more than ${RESOLVED_CODES_MAX} codes; ask for a smaller part.`,
      );
    return { ...filter, modifier: null, values: [...all] };
  }
}
