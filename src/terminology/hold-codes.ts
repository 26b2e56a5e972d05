import type { CodeSystem } from '@medplum/fhirtypes';
import type { Sql } from '../database/database.ts';
import { FULL_ACCESS } from '../fhir/access-context.ts';
import type { AskedCode, TerminologySource } from '../fhir/terminology-registry.ts';
import { Failure } from '../kernel/errors.ts';
import { type Selection, ValueSetComposer } from './sets/compose-value-set.ts';
import type { CodeSystemView } from './systems/code-system-view.ts';
import { MemoryCodeSystem } from './systems/memory-code-system.ts';
import { splitCanonical, type TerminologySources } from './terminology-sources.ts';

/**
 * Which of the codes are in a value set (R4 terminologies.html#binding), asked by the validation of a resource: the set is put together once
 * for all of them. Whether a code is in a value set is no secret of the resource that has it, so it is answered for the server itself.
 *
 * @returns per code true, false, or null where its code system is here in part only; null as a whole where the value set is not here, is
 *   made of what is not here, or makes no sense
 */
export async function holdCodes(
  sources: TerminologySources,
  canonical: string,
  codes: readonly AskedCode[],
  sql: Sql,
  beside: TerminologySource,
): Promise<readonly (boolean | null)[] | null> {
  const from = withPackages(sources, sql, beside);
  try {
    const valueSet = await from.valueSet(canonical);
    if (!valueSet) return null;
    const composer = new ValueSetComposer(from);
    const selection = await composer.compose(valueSet);
    return await Promise.all(codes.map((code) => isHeld(code, selection, composer.inPart)));
  } catch (error) {
    if (error instanceof Failure && /^(?:terminology\.|fhir\.invalid$)/.test(error.code)) return null;
    throw error;
  }
}

async function isHeld(
  { system, code }: AskedCode,
  selection: Selection,
  inPart: ReadonlySet<string>,
): Promise<boolean | null> {
  let answer: boolean | null = false;
  for (const [view, set] of selection) {
    if (system !== undefined && view.url !== system) continue;
    const concept = (await view.find([code])).get(code);
    if (concept && set.has(concept.id)) return true;
    if (!concept && inPart.has(view.url)) answer = null;
  }
  return answer;
}

/** What a package of the operator defines comes before what was stored under the same URL. */
function withPackages(sources: TerminologySources, sql: Sql, beside: TerminologySource) {
  const packaged = <T extends { version?: string }>(canonical: string, find: (url: string) => T | null) => {
    const [url, version] = splitCanonical(canonical);
    const found = find(url);
    return version === null || found?.version === undefined || found.version === version ? found : null;
  };
  return {
    valueSet: async (canonical: string) =>
      packaged(canonical, (url) => beside.valueSet(url)) ?? sources.valueSet(canonical, FULL_ACCESS, sql),
    codeSystem: async (canonical: string) => {
      const found = packaged(canonical, (url) => beside.codeSystem(url));
      return found ? viewOf(found) : sources.codeSystem(canonical, FULL_ACCESS, sql);
    },
  };
}

const views = new WeakMap<CodeSystem, CodeSystemView>();

/** Those of packages stay as they are while the process lives. */
function viewOf(system: CodeSystem): CodeSystemView {
  const view = views.get(system) ?? new MemoryCodeSystem(system);
  views.set(system, view);
  return view;
}
