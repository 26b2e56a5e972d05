import type { ValueSet } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';

/**
 * Value sets that exist without being written down: R4 snomedct.html#implicit (`?fhir_vs`, `?fhir_vs=isa/[sctid]`) and loinc.html
 * (`http://loinc.org/vs`). Null: the URL names none, or one by a reference set or an expression, which are not offered.
 */
export function implicitValueSet(url: string): ValueSet | null {
  const snomed = /^http:\/\/snomed\.info\/sct(\/\d+(?:\/version\/\d+)?)?\?fhir_vs(?:=isa\/(\d{1,18}))?$/.exec(
    url,
  );
  if (snomed) {
    const [, edition, concept] = snomed;
    const version = edition?.includes('/version/') ? { version: `${CODE_SYSTEMS.sct}${edition}` } : {};
    const filter = concept ? { filter: [{ property: 'concept', op: 'is-a' as const, value: concept }] } : {};
    return of(url, { system: CODE_SYSTEMS.sct, ...version, ...filter });
  }
  return url === `${CODE_SYSTEMS.loinc}/vs` ? of(url, { system: CODE_SYSTEMS.loinc }) : null;
}

const of = (url: string, include: object): ValueSet => ({
  resourceType: 'ValueSet',
  url,
  status: 'active',
  compose: { include: [include] },
});
