import type { Sql } from '../database/database.ts';
import { FULL_ACCESS } from '../fhir/access-context.ts';
import type { SystemCode, Terminology } from '../fhir/terminology-registry.ts';
import { Failure } from '../kernel/errors.ts';
import { holdCodes } from './hold-codes.ts';
import { relationOf } from './operations/subsumes.ts';
import { ValueSetComposer } from './sets/compose-value-set.ts';
import type { ConceptSet } from './sets/concept-set.ts';
import type { CodeSystemView, Concept } from './systems/code-system-view.ts';
import type { TerminologySources } from './terminology-sources.ts';

/**
 * What search asks of loaded terminology (R4 search.html#token). It answers for the server itself: which codes a value set has is no secret of the
 * resources that are searched with it, and their own access condition stands beside it.
 */
export function searchTerminology(sources: TerminologySources): Terminology {
  const viewOf = (system: string, sql: Sql) => sources.codeSystem(system, FULL_ACCESS, sql);

  async function related(
    { system, code }: SystemCode,
    max: number,
    sql: Sql,
    of: (view: CodeSystemView, concept: Concept) => Promise<ConceptSet>,
  ): Promise<readonly SystemCode[] | null> {
    const view = await viewOf(system, sql);
    const concept = (await view?.find([code]))?.get(code);
    if (!view || !concept) return null;
    const others = await view.read((await of(view, concept)).slice(0, max));
    return [concept, ...others].map((one) => ({ system, code: one.code }));
  }

  return {
    membersOf: (valueSet, max, sql) => membersOf(sources, valueSet, max, sql),
    holds: (valueSet, codes, sql, beside) => holdCodes(sources, valueSet, codes, sql, beside),
    below: (code, max, sql) => related(code, max, sql, (view, concept) => view.descendants(concept)),
    above: (code, max, sql) => related(code, max, sql, (view, concept) => view.ancestors(concept)),
    async subsumes(a, b, sql) {
      if (a.system !== b.system) return null;
      const view = await viewOf(a.system, sql);
      return view && relationOf(view, a.code, b.code);
    },
  };
}

async function membersOf(
  sources: TerminologySources,
  name: string,
  max: number,
  sql: Sql,
): Promise<readonly SystemCode[] | null> {
  const id = /^ValueSet\/([A-Za-z0-9.-]{1,64})$/.exec(name)?.[1];
  const valueSet = id
    ? await sources.valueSetById(id, FULL_ACCESS, sql)
    : await sources.valueSet(name, FULL_ACCESS, sql);
  if (!valueSet) return null;
  const composer = new ValueSetComposer({
    codeSystem: (url) => sources.codeSystem(url, FULL_ACCESS, sql),
    valueSet: (url) => sources.valueSet(url, FULL_ACCESS, sql),
  });
  const codes: SystemCode[] = [];
  try {
    for (const [view, set] of await composer.compose(valueSet)) {
      const concepts = await view.read(set.slice(0, max + 1 - codes.length));
      codes.push(...concepts.map(({ code }) => ({ system: view.url, code })));
    }
  } catch (error) {
    // The members cannot be told: for a search that is the same as a value set that is not here.
    if (error instanceof Failure && error.code.startsWith('terminology.')) return null;
    throw error;
  }
  return codes;
}
