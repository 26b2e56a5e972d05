import { patientHeads, referenceHeads } from './access-entries.ts';
import { definitions } from './definitions/definitions.ts';

/**
 * What tells of the past stays as it was, a Linkage names two records on purpose, and Patients refer to each other by the links of the merge itself.
 */
const NOT_MOVED: ReadonlySet<string> = new Set([
  'Patient',
  'Provenance',
  'AuditEvent',
  'Linkage',
  'MessageHeader',
]);

let heads: readonly string[] | null = null;

/**
 * Every way in which a resource can refer to the patient whom it is about or who takes part in it, as it is indexed (`Observation.subject`): the patient compartment of R4 and
 * beside it each reference parameter that may lead to a Patient, for every type that can be about one. A merge moves what is found by them.
 */
export function patientReferenceHeads(): readonly string[] {
  heads ??= definitions()
    .resourceTypes.filter((type) => !NOT_MOVED.has(type))
    .flatMap(headsOf);
  return heads;
}

function headsOf(type: string): string[] {
  const { searchParameters, resourceTypes } = definitions();
  const leading = searchParameters.filter(
    (one) => one.type === 'reference' && one.base.includes(type) && one.target?.includes('Patient'),
  );
  const heads = (those: typeof leading) => those.flatMap(({ code }) => referenceHeads(type, code));
  // "May lead to anything" alone makes no type one about patients: an ImplementationGuide lists resources too.
  const named = leading.filter(({ target = [] }) => target.length < resourceTypes.length / 2);
  const about = [...patientHeads(type), ...heads(named)];
  return about.length === 0 ? [] : [...new Set([...about, ...heads(leading)])];
}
