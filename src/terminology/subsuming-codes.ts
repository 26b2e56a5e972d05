import type { Coding } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import { FULL_ACCESS } from '../fhir/access-context.ts';
import { TerminologySources } from './terminology-sources.ts';

/** Which of some codes mean more generally what others mean, by the hierarchy of a code system that is loaded here. */
@Injectable()
export class SubsumingCodes {
  constructor(private readonly sources: TerminologySources) {}

  /**
   * Of `wanted` (`system|code`, or a bare code for any system) those that one of `codings` is, or is a kind of (R4 codesystem-operation-subsumes). A
   * code system that is not loaded, or does not have the code, has no hierarchy: then only the code itself counts.
   */
  async among(wanted: readonly string[], codings: readonly Coding[]): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const coded = codings.flatMap(({ system, code }) => (code ? [{ system: system ?? '', code }] : []));
    for (const { system, code } of coded)
      for (const one of wanted) if (one === code || one === `${system}|${code}`) found.add(one);
    for (const [system, group] of Map.groupBy(coded, (coding) => coding.system)) {
      const left = wanted.filter((one) => !found.has(one) && codeIn(one, system) !== null);
      if (system !== '' && left.length > 0) await this.addGeneral(system, group, left, found);
    }
    return found;
  }

  private async addGeneral(
    system: string,
    codings: readonly { readonly code: string }[],
    wanted: readonly string[],
    found: Set<string>,
  ): Promise<void> {
    const view = await this.sources.codeSystem(system, FULL_ACCESS);
    if (!view) return;
    const codes = wanted.map((one) => codeIn(one, system) ?? '');
    const concepts = await view.find([...new Set([...codes, ...codings.map(({ code }) => code)])]);
    for (const { code } of codings) {
      const special = concepts.get(code);
      if (!special) continue;
      const ancestors = await view.ancestors(special);
      for (const [at, one] of wanted.entries()) {
        const general = concepts.get(codes[at] ?? '');
        if (general && ancestors.has(general.id)) found.add(one);
      }
    }
  }
}

/** The code of `system|code`, or of a bare one; null when it is of another system. */
function codeIn(wanted: string, system: string): string | null {
  const bar = wanted.lastIndexOf('|');
  if (bar === -1) return wanted;
  return wanted.slice(0, bar) === system ? wanted.slice(bar + 1) : null;
}
