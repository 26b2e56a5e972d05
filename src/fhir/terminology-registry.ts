import type { CodeSystem, ValueSet } from '@medplum/fhirtypes';
import type { Sql } from '../database/database.ts';

/** A code of a code system. */
export interface SystemCode {
  readonly system: string;
  readonly code: string;
}

/** A code as it stands in a resource; without a system it may be of any. */
export interface AskedCode {
  readonly system?: string;
  readonly code: string;
}

/** Value sets and code systems that are not in the store: those of packages. Null: it has none of this URL. */
export interface TerminologySource {
  valueSet(url: string): ValueSet | null;
  codeSystem(url: string): CodeSystem | null;
}

/**
 * What search asks of loaded terminology (R4 search.html#token: `:in`, `:not-in`, `:above`, `:below`). `src/terminology` registers it; without
 * it such a search is refused. Codes are given in no special order, each once.
 */
export interface Terminology {
  /** The codes of a value set, by its URL (with `|version` or without) or `ValueSet/id`, `max` + 1 at most. Null: no such value set here. */
  membersOf(valueSet: string, max: number, sql: Sql): Promise<readonly SystemCode[] | null>;
  /** The code itself and all it subsumes, `max` + 1 at most. Null: the code system is not loaded, or has no such code. */
  below(code: SystemCode, max: number, sql: Sql): Promise<readonly SystemCode[] | null>;
  /** The code itself and all that subsume it, `max` + 1 at most. Null as above. */
  above(code: SystemCode, max: number, sql: Sql): Promise<readonly SystemCode[] | null>;
  /**
   * Which of the codes are in the value set; null: that cannot be told, since its code system is here in part only. Null as a whole: no such value set
   * here, or its members cannot be told. `beside` is asked before the store.
   */
  holds(
    valueSet: string,
    codes: readonly AskedCode[],
    sql: Sql,
    beside: TerminologySource,
  ): Promise<readonly (boolean | null)[] | null>;
  /** R4 codesystem-operation-subsumes.html: how `a` stands to `b`. Null: not to be told. */
  subsumes(
    a: SystemCode,
    b: SystemCode,
    sql: Sql,
  ): Promise<'equivalent' | 'subsumes' | 'subsumed-by' | 'not-subsumed' | null>;
}

let registered: Terminology | null = null;

/** For the whole process, as the definitions are. The last one counts. */
export function registerTerminology(terminology: Terminology | null): void {
  registered = terminology;
}

/** Null: none is registered. */
export const registeredTerminology = (): Terminology | null => registered;
